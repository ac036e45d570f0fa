/*
 * What the gateway uses of DPDK.
 *
 * A packet is known by its head, which is the private area of its mbuf:
 *
 *     | struct rte_mbuf, 128 | head, 64 | buffer |
 *
 * This header includes none of DPDK's, so that making bindings of it is quick. Functions that can fail return 0 or a
 * negative error number.
 */
#ifndef DPDK_SHIM_H
#define DPDK_SHIM_H

#include <stdint.h>

#define DPDK_HEAD_LENGTH 64

/* The first octets of a head; the others are the user's. */
struct dpdk_head {
	void *owner;     /* the user's */
	uint32_t offset; /* of the data in the buffer */
	uint32_t length; /* of the data */
};

/* ---- environment ---- */

/* Takes a piece of what DPDK logs. From any thread. */
typedef void dpdk_log(const char *text, uint64_t length);

/* Once per process. `argv` must stay. Pins the calling thread to the main lcore's CPUs. */
int dpdk_start(int argc, char **argv, dpdk_log *log);
const char *dpdk_error(int error);
const char *dpdk_version(void);

/* Gives the calling thread an lcore identifier, and with it mempool caches of its own. */
int dpdk_thread_register(void);
void dpdk_thread_unregister(void);

/* ---- memory ---- */

struct dpdk_pool;

/* NULL on failure, with the reason in `*error`. */
struct dpdk_pool *dpdk_pool_create(const char *name, uint32_t packets, uint32_t cache, uint16_t buffer, int *error);
/* Every packet must be back. */
void dpdk_pool_free(struct dpdk_pool *pool);
uint32_t dpdk_pool_available(const struct dpdk_pool *pool);
/* Takes up to `n` packets and returns how many. Offset and length in their heads are undefined. */
uint32_t dpdk_pool_take(struct dpdk_pool *pool, struct dpdk_head **heads, uint32_t n);
/* Gives packets back that were taken or received. */
void dpdk_pool_give(struct dpdk_pool *pool, struct dpdk_head *const *heads, uint32_t n);

/* ---- ports ---- */

struct dpdk_info {
	char driver[32];
	uint16_t max_rx_queues;
	uint16_t max_tx_queues;
	uint16_t mtu;
	uint16_t min_mtu;
	uint16_t max_mtu;
	uint8_t mac[6];
};

/* Where `dpdk_port_setup` failed. */
enum dpdk_step {
	DPDK_STEP_CONFIGURE,
	DPDK_STEP_MTU,
	DPDK_STEP_RX_QUEUE,
	DPDK_STEP_TX_QUEUE,
	DPDK_STEP_START,
	DPDK_STEP_PROMISCUOUS,
};

struct dpdk_setup {
	struct dpdk_pool *const *pools; /* one for each queue */
	uint16_t queues;                /* in each direction */
	uint16_t rx_descriptors;        /* wanted in each queue; the device may make it more or less */
	uint16_t tx_descriptors;
	uint16_t mtu;                   /* 0: as it is */
	uint8_t promiscuous;
	uint8_t checksums;              /* offload them, as far as the device can */
};

/* Checksums that the device computes or verifies. */
#define DPDK_RX_IPV4 1
#define DPDK_RX_UDP 2
#define DPDK_TX_IPV4 4
#define DPDK_TX_UDP 8

struct dpdk_port {
	uint16_t port;
	uint16_t mtu;
	uint32_t offloads; /* DPDK_RX_… and DPDK_TX_… that are on */
};

struct dpdk_link {
	uint32_t mbits; /* 0: unknown */
	uint8_t up;
	uint8_t full_duplex;
};

/* Of the whole port since it was set up. */
struct dpdk_stats {
	uint64_t rx_missed;
	uint64_t rx_errors;
	uint64_t rx_no_memory;
	uint64_t tx_errors;
};

/* Attaches a device, named with its arguments as on an EAL command line. */
int dpdk_port_probe(const char *device, const char *name, uint16_t *port);
int dpdk_port_info(uint16_t port, struct dpdk_info *info);
int dpdk_port_setup(uint16_t port, const struct dpdk_setup *setup, struct dpdk_port *result, enum dpdk_step *step);
/* Stops, closes and detaches. */
int dpdk_port_close(uint16_t port);
int dpdk_port_link(uint16_t port, struct dpdk_link *link);
int dpdk_port_stats(uint16_t port, struct dpdk_stats *stats);

/* ---- packets ---- */

struct dpdk_received {
	uint16_t packets;
	uint16_t copied;       /* of these: put together from several or foreign mbufs */
	uint16_t too_long;     /* dropped */
	uint16_t bad_checksum; /* dropped */
	uint16_t no_memory;    /* dropped, for want of an mbuf to copy into */
};

/* Receives up to `n` packets, at most 64, all of them of `pool`. */
void dpdk_rx_burst(const struct dpdk_port *port, uint16_t queue, struct dpdk_pool *pool, struct dpdk_head **heads,
		   uint16_t n, struct dpdk_received *received);
/*
 * Sends from the front of `heads`, at most 64, of any pool, what offset and length say of each. Returns how many were
 * taken: these are the driver's from then on. With offloads, fills in the checksums of IPv4 headers and UDP,
 * but for UDP over IPv4 that has none, which is zero.
 */
uint16_t dpdk_tx_burst(const struct dpdk_port *port, uint16_t queue, struct dpdk_head *const *heads, uint16_t n);

#endif
