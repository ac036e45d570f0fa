/* What shim.h says, over DPDK's own headers. */
#define _GNU_SOURCE /* fopencookie */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include <rte_alarm.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_udp.h>
#include <rte_version.h>

#include "shim.h"

#define MOST 64

_Static_assert(sizeof(struct dpdk_head) <= DPDK_HEAD_LENGTH, "a head fits its place");
_Static_assert(sizeof(struct rte_mbuf) % RTE_MBUF_PRIV_ALIGN == 0, "heads are where the mbuf ends");

static inline struct rte_mempool *mempool_of(const struct dpdk_pool *pool)
{
	return (struct rte_mempool *)(uintptr_t)pool;
}

static inline struct rte_mbuf *mbuf_of(struct dpdk_head *head)
{
	return (struct rte_mbuf *)((char *)head - sizeof(struct rte_mbuf));
}

static inline struct dpdk_head *head_of(struct rte_mbuf *mbuf)
{
	return (struct dpdk_head *)(mbuf + 1);
}

static inline char *buffer_of(struct dpdk_head *head)
{
	return (char *)head + DPDK_HEAD_LENGTH;
}

/* ---- environment ---- */

static ssize_t write_log(void *log, const char *text, size_t length)
{
	(*(dpdk_log **)log)(text, length);
	return (ssize_t)length;
}

int dpdk_start(int argc, char **argv, dpdk_log *log)
{
	static dpdk_log *to;
	cookie_io_functions_t functions = {.write = write_log};
	FILE *stream;

	to = log;
	stream = fopencookie(&to, "w", functions);
	if (stream == NULL)
		return -errno;
	setvbuf(stream, NULL, _IOLBF, 1024);
	rte_openlog_stream(stream);
	return rte_eal_init(argc, argv) < 0 ? -rte_errno : 0;
}

const char *dpdk_error(int error)
{
	return rte_strerror(error < 0 ? -error : error);
}

const char *dpdk_version(void)
{
	return rte_version();
}

int dpdk_thread_register(void)
{
	return rte_thread_register() < 0 ? -rte_errno : 0;
}

void dpdk_thread_unregister(void)
{
	rte_thread_unregister();
}

/* ---- memory ---- */

struct dpdk_pool *dpdk_pool_create(const char *name, uint32_t packets, uint32_t cache, uint16_t buffer, int *error)
{
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create(name, packets, cache, DPDK_HEAD_LENGTH, buffer, SOCKET_ID_ANY);

	*error = pool == NULL ? -rte_errno : 0;
	return (struct dpdk_pool *)pool;
}

void dpdk_pool_free(struct dpdk_pool *pool)
{
	rte_mempool_free(mempool_of(pool));
}

uint32_t dpdk_pool_available(const struct dpdk_pool *pool)
{
	return rte_mempool_avail_count(mempool_of(pool));
}

uint32_t dpdk_pool_take(struct dpdk_pool *pool, struct dpdk_head **heads, uint32_t n)
{
	uint32_t i;

	/* All or none is what the mempool gives. */
	while (n > 0 && rte_mempool_get_bulk(mempool_of(pool), (void **)heads, n) < 0)
		n /= 2;
	for (i = 0; i < n; i++)
		heads[i] = head_of((struct rte_mbuf *)heads[i]);
	return n;
}

void dpdk_pool_give(struct dpdk_pool *pool, struct dpdk_head *const *heads, uint32_t n)
{
	struct rte_mbuf *mbufs[MOST];
	uint32_t i, some;

	for (; n > 0; n -= some, heads += some) {
		some = n < MOST ? n : MOST;
		for (i = 0; i < some; i++)
			mbufs[i] = mbuf_of(heads[i]);
		/* They are single, direct, and referred to once: what rx_burst lets through and nothing changes. */
		rte_mempool_put_bulk(mempool_of(pool), (void **)mbufs, some);
	}
}

/* ---- ports ---- */

int dpdk_port_probe(const char *device, const char *name, uint16_t *port)
{
	int error;

	if (rte_eth_dev_get_port_by_name(name, port) == 0)
		return 0;
	error = rte_dev_probe(device);
	if (error < 0)
		return error;
	return rte_eth_dev_get_port_by_name(name, port);
}

int dpdk_port_info(uint16_t port, struct dpdk_info *info)
{
	struct rte_eth_dev_info device;
	struct rte_ether_addr mac;
	int error;

	memset(info, 0, sizeof(*info));
	error = rte_eth_dev_info_get(port, &device);
	if (error == 0)
		error = rte_eth_dev_get_mtu(port, &info->mtu);
	if (error == 0)
		error = rte_eth_macaddr_get(port, &mac);
	if (error < 0)
		return error;
	snprintf(info->driver, sizeof(info->driver), "%s", device.driver_name);
	info->max_rx_queues = device.max_rx_queues;
	info->max_tx_queues = device.max_tx_queues;
	info->min_mtu = device.min_mtu;
	info->max_mtu = device.max_mtu;
	memcpy(info->mac, mac.addr_bytes, sizeof(info->mac));
	return 0;
}

/* The offloads of `table` that the device can, as it names them; as we do, in `*ours`. */
struct offload {
	uint64_t theirs;
	uint32_t ours;
};

static const struct offload rx_checksums[] = {
	{RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, DPDK_RX_IPV4},
	{RTE_ETH_RX_OFFLOAD_UDP_CKSUM, DPDK_RX_UDP},
};
static const struct offload tx_checksums[] = {
	{RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, DPDK_TX_IPV4},
	{RTE_ETH_TX_OFFLOAD_UDP_CKSUM, DPDK_TX_UDP},
};

static uint64_t choose(const struct offload table[2], uint64_t can, uint32_t *ours)
{
	uint64_t theirs = 0;
	int i;

	for (i = 0; i < 2; i++) {
		if ((can & table[i].theirs) == 0)
			continue;
		theirs |= table[i].theirs;
		*ours |= table[i].ours;
	}
	return theirs;
}

int dpdk_port_setup(uint16_t port, const struct dpdk_setup *setup, struct dpdk_port *result, enum dpdk_step *step)
{
	struct rte_eth_conf conf;
	struct rte_eth_dev_info device;
	struct rte_eth_rxconf rx;
	struct rte_eth_txconf tx;
	uint16_t rx_descriptors = setup->rx_descriptors, tx_descriptors = setup->tx_descriptors, queue;
	int error, socket = rte_eth_dev_socket_id(port);

	memset(&conf, 0, sizeof(conf));
	memset(result, 0, sizeof(*result));
	result->port = port;

	*step = DPDK_STEP_CONFIGURE;
	error = rte_eth_dev_info_get(port, &device);
	if (error == 0)
		error = rte_eth_dev_get_mtu(port, &result->mtu);
	if (error < 0)
		return error;
	if (setup->mtu != 0)
		result->mtu = setup->mtu;
	conf.rxmode.mtu = result->mtu;
	if (setup->checksums) {
		conf.rxmode.offloads = choose(rx_checksums, device.rx_offload_capa, &result->offloads);
		conf.txmode.offloads = choose(tx_checksums, device.tx_offload_capa, &result->offloads);
	}
	if (setup->queues > 1) {
		const uint64_t flows = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP;

		/* A device without spreads in a way of its own, or not at all. */
		if ((device.flow_type_rss_offloads & flows) != 0) {
			conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
			conf.rx_adv_conf.rss_conf.rss_hf = device.flow_type_rss_offloads & flows;
		}
	}
	error = rte_eth_dev_configure(port, setup->queues, setup->queues, &conf);
	if (error == 0)
		error = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx_descriptors, &tx_descriptors);
	if (error < 0)
		return error;

	if (setup->mtu != 0) {
		uint16_t now;

		*step = DPDK_STEP_MTU;
		error = rte_eth_dev_set_mtu(port, setup->mtu);
		/* Configuring may have done it for those that cannot do it apart. */
		if (error == -ENOTSUP && rte_eth_dev_get_mtu(port, &now) == 0 && now == setup->mtu)
			error = 0;
		if (error < 0)
			return error;
	}

	rx = device.default_rxconf;
	rx.offloads = conf.rxmode.offloads;
	tx = device.default_txconf;
	tx.offloads = conf.txmode.offloads;
	for (queue = 0; queue < setup->queues; queue++) {
		*step = DPDK_STEP_RX_QUEUE;
		error = rte_eth_rx_queue_setup(port, queue, rx_descriptors, (unsigned int)socket, &rx,
					       mempool_of(setup->pools[queue]));
		if (error < 0)
			return error;
		*step = DPDK_STEP_TX_QUEUE;
		error = rte_eth_tx_queue_setup(port, queue, tx_descriptors, (unsigned int)socket, &tx);
		if (error < 0)
			return error;
	}

	*step = DPDK_STEP_START;
	error = rte_eth_dev_start(port);
	if (error < 0)
		return error;
	if (setup->promiscuous) {
		*step = DPDK_STEP_PROMISCUOUS;
		error = rte_eth_promiscuous_enable(port);
		/* A device without filters has nothing to open. */
		if (error == -ENOTSUP)
			error = rte_eth_allmulticast_enable(port);
		if (error < 0 && error != -ENOTSUP)
			return error;
	}
	/* A device that cannot starts from zero anyway. */
	rte_eth_stats_reset(port);
	return 0;
}

static int close_here(uint16_t port)
{
	struct rte_eth_dev_info device;
	int error = rte_eth_dev_info_get(port, &device);

	if (error < 0)
		return error;
	rte_eth_dev_stop(port);
	error = rte_eth_dev_close(port);
	if (error < 0)
		return error;
	return rte_dev_remove(device.device);
}

struct closing {
	uint16_t port;
	int error;
	sem_t done;
};

static void close_there(void *argument)
{
	struct closing *closing = argument;

	closing->error = close_here(closing->port);
	sem_post(&closing->done);
}

int dpdk_port_close(uint16_t port)
{
	struct closing closing = {.port = port};
	struct rte_eth_dev_info device;
	int error = rte_eth_dev_info_get(port, &device);

	if (error < 0)
		return error;
	/*
	 * This driver hears of its peer's end in DPDK's interrupt thread, and takes no lock when it then frees what closing frees too. Alarms
	 * come in that thread as well.
	 */
	if (strcmp(device.driver_name, "net_memif") != 0)
		return close_here(port);
	sem_init(&closing.done, 0, 0);
	error = rte_eal_alarm_set(1, close_there, &closing);
	if (error < 0)
		return error;
	while (sem_wait(&closing.done) < 0)
		;
	sem_destroy(&closing.done);
	return closing.error;
}

int dpdk_port_link(uint16_t port, struct dpdk_link *link)
{
	struct rte_eth_link now;
	int error = rte_eth_link_get_nowait(port, &now);

	if (error < 0)
		return error;
	link->mbits = now.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : now.link_speed;
	link->up = now.link_status == RTE_ETH_LINK_UP;
	link->full_duplex = now.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	return 0;
}

int dpdk_port_stats(uint16_t port, struct dpdk_stats *stats)
{
	struct rte_eth_stats now;
	int error = rte_eth_stats_get(port, &now);

	if (error < 0)
		return error;
	stats->rx_missed = now.imissed;
	stats->rx_errors = now.ierrors;
	stats->rx_no_memory = now.rx_nombuf;
	stats->tx_errors = now.oerrors;
	return 0;
}

/* ---- received ---- */

static int checksum_is_bad(const struct rte_mbuf *mbuf, uint32_t offloads)
{
	return ((offloads & DPDK_RX_IPV4) && (mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD) ||
	       ((offloads & DPDK_RX_UDP) && (mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD);
}

/* A copy in one mbuf of `pool`, instead of the original; NULL and counted if there is none to be had. */
static struct rte_mbuf *copy(struct rte_mbuf *mbuf, struct rte_mempool *pool, struct dpdk_received *received)
{
	struct rte_mbuf *to = NULL;
	uint32_t length = mbuf->pkt_len;
	const void *data;

	if (length > (uint32_t)rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM) {
		received->too_long++;
	} else if ((to = rte_pktmbuf_alloc(pool)) == NULL) {
		received->no_memory++;
	} else {
		char *space = rte_pktmbuf_append(to, (uint16_t)length);

		data = rte_pktmbuf_read(mbuf, 0, length, space);
		if (data != space)
			memcpy(space, data, length);
		to->vlan_tci = mbuf->vlan_tci;
		to->ol_flags = mbuf->ol_flags & (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
		received->copied++;
	}
	rte_pktmbuf_free(mbuf);
	return to;
}

void dpdk_rx_burst(const struct dpdk_port *port, uint16_t queue, struct dpdk_pool *pool, struct dpdk_head **heads,
		   uint16_t n, struct dpdk_received *received)
{
	struct rte_mempool *mempool = mempool_of(pool);
	struct rte_mbuf *mbufs[MOST];
	uint16_t i, got, out = 0;

	memset(received, 0, sizeof(*received));
	got = rte_eth_rx_burst(port->port, queue, mbufs, n < MOST ? n : MOST);
	for (i = 0; i < got; i++)
		rte_prefetch0(head_of(mbufs[i]));
	for (i = 0; i < got; i++) {
		struct rte_mbuf *mbuf = mbufs[i];
		struct dpdk_head *head;

		if (unlikely(port->offloads != 0 && checksum_is_bad(mbuf, port->offloads))) {
			received->bad_checksum++;
			rte_pktmbuf_free(mbuf);
			continue;
		}
		if (unlikely(mbuf->pool != mempool || mbuf->nb_segs != 1 || !RTE_MBUF_DIRECT(mbuf) ||
			     rte_mbuf_refcnt_read(mbuf) != 1)) {
			mbuf = copy(mbuf, mempool, received);
			if (mbuf == NULL)
				continue;
		}
		/* Nobody asked to take the tag off. */
		if (unlikely(mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) && rte_vlan_insert(&mbuf) < 0) {
			received->too_long++;
			rte_pktmbuf_free(mbuf);
			continue;
		}
		head = head_of(mbuf);
		head->offset = mbuf->data_off;
		head->length = mbuf->data_len;
		heads[out++] = head;
	}
	received->packets = out;
}

/* ---- sent ---- */

/* Leaves the checksums of an IPv4 header and of UDP to the device: says where they are, and puts in what it wants to find there. */
static void ask_for_checksums(struct rte_mbuf *mbuf, uint32_t offloads)
{
	char *data = rte_pktmbuf_mtod(mbuf, char *);
	uint32_t length = mbuf->data_len, l2 = sizeof(struct rte_ether_hdr), l3;
	uint16_t type;
	struct rte_udp_hdr *udp;

	if (length < l2)
		return;
	type = ((struct rte_ether_hdr *)data)->ether_type;
	while ((type == RTE_BE16(RTE_ETHER_TYPE_VLAN) || type == RTE_BE16(RTE_ETHER_TYPE_QINQ)) && length >= l2 + 4) {
		type = ((struct rte_vlan_hdr *)(data + l2))->eth_proto;
		l2 += sizeof(struct rte_vlan_hdr);
	}
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && length >= l2 + sizeof(struct rte_ipv4_hdr)) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(data + l2);

		l3 = rte_ipv4_hdr_len(ip);
		if (l3 < sizeof(*ip) || length < l2 + l3)
			return;
		mbuf->ol_flags = RTE_MBUF_F_TX_IPV4;
		if (offloads & DPDK_TX_IPV4) {
			mbuf->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
			ip->hdr_checksum = 0;
		}
		udp = (struct rte_udp_hdr *)((char *)ip + l3);
		/* A fragment has no checksum of its own, and a datagram need not have one: zero says so. */
		if ((offloads & DPDK_TX_UDP) && ip->next_proto_id == IPPROTO_UDP && length >= l2 + l3 + sizeof(*udp) &&
		    udp->dgram_cksum != 0 &&
		    (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) == 0) {
			mbuf->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
			udp->dgram_cksum = rte_ipv4_phdr_cksum(ip, 0);
		}
	} else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && length >= l2 + sizeof(struct rte_ipv6_hdr)) {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(data + l2);

		l3 = sizeof(*ip);
		udp = (struct rte_udp_hdr *)(ip + 1);
		mbuf->ol_flags = RTE_MBUF_F_TX_IPV6;
		if ((offloads & DPDK_TX_UDP) && ip->proto == IPPROTO_UDP && length >= l2 + l3 + sizeof(*udp)) {
			mbuf->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
			udp->dgram_cksum = rte_ipv6_phdr_cksum(ip, 0);
		}
	} else {
		return;
	}
	mbuf->l2_len = l2;
	mbuf->l3_len = l3;
}

uint16_t dpdk_tx_burst(const struct dpdk_port *port, uint16_t queue, struct dpdk_head *const *heads, uint16_t n)
{
	const uint32_t offloads = port->offloads & (DPDK_TX_IPV4 | DPDK_TX_UDP);
	struct rte_mbuf *mbufs[MOST];
	uint16_t i;

	if (n > MOST)
		n = MOST;
	for (i = 0; i < n; i++) {
		struct dpdk_head *head = heads[i];
		struct rte_mbuf *mbuf = mbuf_of(head);

		mbuf->data_off = (uint16_t)head->offset;
		mbuf->data_len = (uint16_t)head->length;
		mbuf->pkt_len = head->length;
		mbuf->ol_flags = 0;
		mbufs[i] = mbuf;
		if (unlikely(offloads != 0))
			ask_for_checksums(mbuf, offloads);
	}
	if (unlikely(offloads != 0))
		n = rte_eth_tx_prepare(port->port, queue, mbufs, n);
	return rte_eth_tx_burst(port->port, queue, mbufs, n);
}
