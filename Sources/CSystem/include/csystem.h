// What Swift cannot call directly on Linux: atomics on shared memory, futexes, pidfds, variadic calls, processor
// features. Everything here converts; nothing decides.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// --- Atomics on words that live in memory shared between processes -------------------------------------------
static inline uint64_t cs_load(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void cs_store(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
/// Stores `wanted` if the word still is `seen`; whether it did.
static inline bool cs_exchange_if(uint64_t *p, uint64_t seen, uint64_t wanted) {
    return __atomic_compare_exchange_n(p, &seen, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline uint32_t cs_load32(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
static inline uint32_t cs_add32(uint32_t *p, uint32_t v) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); }

// --- Futexes, not private: the word lies in shared memory ----------------------------------------------------
/// Sleeps while `*word == expected`, at most `timeoutNanoseconds`. 0 when woken, else errno (EAGAIN, ETIMEDOUT, EINTR).
int cs_futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeoutNanoseconds);
/// Wakes every sleeper on `word`.
void cs_futex_wake_all(uint32_t *word);

// --- Processes -----------------------------------------------------------------------------------------------
/// A file descriptor that becomes readable when `pid` ends, or -1 and errno.
int cs_pidfd_open(pid_t pid);
/// Ends this process with `signal` when its parent's thread ends; 0 for no signal any more. 0 or errno.
int cs_signal_at_parent_death(int signal);
/// Reaps `pid` if it has ended: 1 when reaped (then *signalled tells whether *code is a signal or an exit
/// status, and *cpu_nanoseconds how long it was on a processor), 0 when it still runs, -1 and errno otherwise. Waits
/// when `wait`.
int cs_reap(pid_t pid, bool wait, bool *signalled, int *code, uint64_t *cpu_nanoseconds);
/// Binds the calling thread to one processor. 0 or errno.
int cs_pin_to_core(int core);
/// Makes this process stand back for others: its nice value, and for the disk (where its scheduler heeds classes) the idle
/// class at 19, else best effort at the level that goes with the nice value. 0 leaves all as it is. A refusal is ignored.
void cs_stand_back(int nice);
/// How many processors this process may use.
int cs_available_cores(void);

// --- Memory --------------------------------------------------------------------------------------------------
/// Maps `name` of POSIX shared memory, whole, read and write. NULL and errno otherwise. `*length` is the size to
/// create with when `create`, else receives the size found.
void *cs_shared_map(const char *name, bool create, size_t *length);
/// Removes the name. 0 or errno.
int cs_shared_unlink(const char *name);
/// Bytes of memory that can be had without swapping (`MemAvailable`), LONG_MAX when unknown.
long cs_available_memory(void);
/// Makes every page of the range present and writable now, so that a step never faults. 0 or errno.
int cs_populate(void *base, size_t length);

// --- Networks ------------------------------------------------------------------------------------------------
/// Moves the calling thread, and those that it starts later, into the network namespace of the descriptor. 0 or errno.
int cs_enter_network(int fd);
/// Whether the calling thread could listen on a name or address: 0, errno (EADDRNOTAVAIL: it is not of this network), or
/// -1 when it is neither a name nor an address.
int cs_can_listen(const char *host);

// --- What this process has used ------------------------------------------------------------------------------
/// Has the TCP sockets that are open now counted, and no others. From one thread, as the next.
void cs_tcp_watch(void);
/// Bytes that they have sent, headers of TCP and repetitions not counted; with those that wait in them unless it is 0.
uint64_t cs_tcp_bytes_sent(int with_waiting);
/// Bytes of memory that are this process's alone and present (`RssAnon`).
uint64_t cs_private_bytes(void);

// --- Files ---------------------------------------------------------------------------------------------------
/// A non-blocking event counter that survives exec, or -1 and errno.
int cs_eventfd(void);
/// A descriptor that reads the given signals (blocked by the call for this process), or -1 and errno.
int cs_signalfd(const int *signals, int count);
/// Whether the signal is ignored, as SIGHUP is under `nohup`.
bool cs_ignores_signal(int signal);
/// From now on SIGINT, SIGTERM, and SIGHUP unless it is ignored, are noted and end nothing but a call that blocks
/// (EINTR); SIGUSR1 is ignored.
void cs_note_interrupts(void);
/// The signal noted last, 0 for none.
int cs_noted_interrupt(void);
/// The next signal that waits in such a descriptor, 0 when there is none.
int cs_next_signal(int signalDescriptor);
/// Gives the calling thread mounts of its own: what it mounts nobody else sees, and it goes with the thread. Who has no
/// right to becomes the owner of a user namespace, for which the process must have one thread. 0 or errno.
int cs_own_mounts(void);
/// Mounts an empty file system of so many bytes, in memory, over the folder; takes away what is mounted there. 0 or errno.
int cs_mount_tmpfs(const char *path, size_t bytes);
int cs_unmount(const char *path);
/// Takes the whole-file lock without waiting. 0, or errno (EWOULDBLOCK: somebody holds it).
int cs_lock_file(int fd);
/// Has the kernel begin to write the file's changed pages to the disk; waits for none of them.
void cs_start_writeback(int fd);
/// CRC-32C (Castagnoli) of the bytes, continuing from `crc` (0 to start).
uint32_t cs_crc32c(uint32_t crc, const void *bytes, size_t count);

// --- Processor -----------------------------------------------------------------------------------------------
/// Flush-to-zero and denormals-are-zero for the calling thread, so that tiny moments cost no microcode.
void cs_flush_denormals(void);
/// Whether this processor has what the binary was compiled for (x86-64-v3 where that was asked for).
bool cs_processor_supported(void);
/// The OpenBLAS core name fit for this processor, or NULL to leave the choice to OpenBLAS.
const char *cs_preferred_blas_core(void);

// --- Allocation count ----------------------------------------------------------------------------------------
/// How often this thread has called malloc, calloc, realloc or an aligned form of them.
uint64_t cs_allocation_count(void);
