/* Bursts through Intel's Multi-Buffer Crypto for IPsec: its interface is macros over a structure, so this much is C. */

#include <intel-ipsec-mb.h>
#include <string.h>

/* One frame, as kernels/peers/ipsec_mb.rs writes it. */
struct bench_frame {
	const void *schedule;
	uint8_t *body;
	uint64_t len;
	const uint8_t *nonce;
	const uint8_t *aad;
	uint8_t *mic;
	uint8_t computed[16];
};

enum { NONCE = 13, AAD = 24, MIC = 8 };

/* A manager for the best that the processor has, or for AVX2; its number says which. */
IMB_MGR *bench_ipsec_mb_new(int avx2, uint32_t *arch)
{
	IMB_MGR *mgr = alloc_mb_mgr(0);
	IMB_ARCH used = IMB_ARCH_AVX2;

	if (mgr == NULL)
		return NULL;
	if (avx2)
		init_mb_mgr_avx2(mgr);
	else
		init_mb_mgr_auto(mgr, &used);
	*arch = used;
	return mgr;
}

void bench_ipsec_mb_free(IMB_MGR *mgr)
{
	free_mb_mgr(mgr);
}

/* CCM needs the encryption schedule only, but there is no call that makes nothing else. */
void bench_ipsec_mb_expand(IMB_MGR *mgr, const void *key, void *schedule, void *unused)
{
	IMB_AES_KEYEXP_128(mgr, key, schedule, unused);
}

/* Seals or opens a burst to its end; the number of frames that were completed. */
uint32_t bench_ipsec_mb_burst(IMB_MGR *mgr, struct bench_frame *frames, uint32_t count, int seal)
{
	IMB_JOB *jobs[IMB_MAX_BURST_SIZE];
	uint32_t done;

	if (IMB_GET_NEXT_BURST(mgr, count, jobs) < count)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		struct bench_frame *frame = &frames[i];
		IMB_JOB *job = jobs[i];

		job->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
		job->chain_order = seal ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
		job->cipher_mode = IMB_CIPHER_CCM;
		job->hash_alg = IMB_AUTH_AES_CCM;
		job->enc_keys = frame->schedule;
		job->dec_keys = frame->schedule;
		job->key_len_in_bytes = IMB_KEY_128_BYTES;
		job->src = frame->body;
		job->dst = frame->body;
		job->cipher_start_src_offset_in_bytes = 0;
		job->msg_len_to_cipher_in_bytes = frame->len;
		job->hash_start_src_offset_in_bytes = 0;
		job->msg_len_to_hash_in_bytes = frame->len;
		job->iv = frame->nonce;
		job->iv_len_in_bytes = NONCE;
		job->u.CCM.aad = frame->aad;
		job->u.CCM.aad_len_in_bytes = AAD;
		job->auth_tag_output = seal ? frame->mic : frame->computed;
		job->auth_tag_output_len_in_bytes = MIC;
	}
	done = IMB_SUBMIT_BURST_NOCHECK(mgr, count, jobs);
	while (done < count) {
		uint32_t more = IMB_FLUSH_BURST(mgr, count - done, jobs);

		if (more == 0)
			break;
		done += more;
	}
	return done;
}

/* How many frames of an opened burst have the right MIC. */
uint32_t bench_ipsec_mb_right(const struct bench_frame *frames, uint32_t count)
{
	uint32_t right = 0;

	for (uint32_t i = 0; i < count; i++)
		right += memcmp(frames[i].computed, frames[i].mic, MIC) == 0;
	return right;
}

/* GCM, one frame after the other: its own interface for that is the fastest that it has. */

enum { GCM_MIC = 16 };

size_t bench_ipsec_mb_gcm_schedule(void)
{
	return sizeof(struct gcm_key_data);
}

void bench_ipsec_mb_gcm_expand(IMB_MGR *mgr, const void *key, void *schedule)
{
	IMB_AES128_GCM_PRE(mgr, key, schedule);
}

/* Opens one frame, or seals it; whether it had the right MIC. */
int bench_ipsec_mb_gcm(IMB_MGR *mgr, struct bench_frame *frame, int seal)
{
	struct gcm_context_data context;
	const struct gcm_key_data *schedule = frame->schedule;

	if (seal) {
		IMB_AES128_GCM_ENC(mgr, schedule, &context, frame->body, frame->body, frame->len, frame->nonce, frame->aad,
				   AAD, frame->mic, GCM_MIC);
		return 1;
	}
	IMB_AES128_GCM_DEC(mgr, schedule, &context, frame->body, frame->body, frame->len, frame->nonce, frame->aad, AAD,
			   frame->computed, GCM_MIC);
	return memcmp(frame->computed, frame->mic, GCM_MIC) == 0;
}
