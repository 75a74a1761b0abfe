// Gloo (TCP transport) behind a plain C header: groups of peers, messages between them, and nothing decided.
//
// A group is formed in two phases: every rank makes it, which opens a listening socket for each peer, tells its addresses
// to the others by whatever way there is, and connects. After any status but CG_OK a group is finished: close and free it
// at once (closing is what tells the other peers) and make a new one. No C++ exception leaves this library. Gloo neither
// authenticates nor encrypts: whoever connects first is the peer.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CG_OK = 0,
    CG_PEER = 1,     // a peer is gone, or closed the group
    CG_TIMEOUT = 2,  // nothing came in time
    CG_INVALID = 3,  // Gloo refused the call
};

/// Bytes that hold any address of Gloo's.
enum { CG_ADDRESS_BYTES = 192 };

typedef struct cg_device cg_device;
typedef struct cg_group cg_group;
typedef struct cg_region cg_region;

/// What went wrong in the last call of this thread that failed; valid until the next.
const char *cg_error(void);

/// The sockets of this process on `host`'s interface, with one thread that moves bytes. NULL on failure.
cg_device *cg_device_make(const char *host);
void cg_device_free(cg_device *device);

/// Rank `rank` of `size`, listening. Connecting may take up to `timeoutMilliseconds`. NULL on failure.
cg_group *cg_group_make(cg_device *device, int rank, int size, int timeoutMilliseconds);
/// Where `peer` finds this rank: at most CG_ADDRESS_BYTES into `out`, the rest zeros.
int cg_group_address(cg_group *group, int peer, uint8_t *out);
/// Connects with `peer`, whose address for this rank is `address` (CG_ADDRESS_BYTES). Blocks until it does the same.
int cg_group_connect(cg_group *group, int peer, const uint8_t *address);
/// Ends all connections; pending waits of others fail.
void cg_group_close(cg_group *group);
/// Wakes, from any thread, whoever waits for a message of the group, and lets nobody wait again. Gloo does not wake every
/// wait for a peer that is gone: a send whose peer closes at the wrong moment would wait for its whole time-out.
void cg_group_abort(cg_group *group);
/// After all of its regions are freed.
void cg_group_free(cg_group *group);

/// Memory that messages of the group go from or come to. NULL on failure.
cg_region *cg_region_make(cg_group *group, void *base, size_t bytes);
void cg_region_free(cg_region *region);

/// Begins to send a part of the region; it must not change until `cg_wait_sent` counts it. `tag` pairs it with a receive. What
/// fails shows in the waits.
void cg_send(cg_region *region, int peer, uint64_t tag, size_t offset, size_t bytes);
/// Begins to receive into a part of the region. Both sides must agree on `bytes`.
void cg_receive(cg_region *region, int peer, uint64_t tag, size_t offset, size_t bytes);
/// Waits for one of the region's sends, or receives, that were begun and not yet waited for.
int cg_wait_sent(cg_region *region, int timeoutMilliseconds);
int cg_wait_received(cg_region *region, int timeoutMilliseconds);

#ifdef __cplusplus
}
#endif
