#define _GNU_SOURCE
#include "csystem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

int cs_futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeoutNanoseconds) {
    struct timespec t = {(time_t)(timeoutNanoseconds / 1000000000u), (long)(timeoutNanoseconds % 1000000000u)};
    return syscall(SYS_futex, word, FUTEX_WAIT, expected, &t, NULL, 0) == 0 ? 0 : errno;
}

void cs_futex_wake_all(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0); }

int cs_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int cs_signal_at_parent_death(int signal) { return prctl(PR_SET_PDEATHSIG, signal) == 0 ? 0 : errno; }

int cs_reap(pid_t pid, bool wait, bool *signalled, int *code, uint64_t *cpu_nanoseconds) {
    int status;
    pid_t r;
    struct rusage used;
    do r = wait4(pid, &status, wait ? 0 : WNOHANG, &used); while (r < 0 && errno == EINTR);
    if (r <= 0) return (int)r;
    *cpu_nanoseconds = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000u
        + (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000u;
    *signalled = WIFSIGNALED(status);
    *code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return 1;
}

int cs_pin_to_core(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}

void cs_stand_back(int nice) {
    if (nice <= 0) return;
    setpriority(PRIO_PROCESS, 0, nice);
    // linux/ioprio.h came late: class in the bits from 13 on, 2 best effort with levels 0 to 7, 3 idle; who 1 is a process.
    int best_effort = 2 << 13 | (nice + 20) / 5, idle = 3 << 13;
    syscall(SYS_ioprio_set, 1, 0, nice >= 19 ? idle : best_effort);
}

int cs_available_cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

// Signals wait meanwhile: one that comes again and again, as the alarm below does, would let a long reservation never
// end. A stop cannot be held back, and breaks it off as well.
static int reserve(int fd, off_t length) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed;
    do failed = posix_fallocate(fd, 0, length); while (failed == EINTR);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

void *cs_shared_map(const char *name, bool create, size_t *length) {
    int fd = shm_open(name, create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0600);
    if (fd < 0) return NULL;
    struct stat info;
    void *base = NULL;
    // Pages are reserved: running out of them is an error here, not a SIGBUS in the middle of a step.
    int failed = create ? reserve(fd, (off_t)*length) : (fstat(fd, &info) == 0 ? 0 : errno);
    if (failed == 0) {
        if (!create) *length = (size_t)info.st_size;
        base = mmap(NULL, *length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (base == MAP_FAILED) failed = errno, base = NULL;
    }
    close(fd);
    if (failed && create) shm_unlink(name);
    errno = failed;
    return base;
}

int cs_shared_unlink(const char *name) { return shm_unlink(name) == 0 ? 0 : errno; }

long cs_available_memory(void) {
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    long kibibytes, found = LONG_MAX;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %ld kB", &kibibytes) == 1) found = kibibytes * 1024;
    if (file) fclose(file);
    return found;
}

int cs_populate(void *base, size_t length) {
#ifdef MADV_POPULATE_WRITE
    return madvise(base, length, MADV_POPULATE_WRITE) == 0 ? 0 : errno;
#else
    (void)base, (void)length;
    return 0;
#endif
}

int cs_eventfd(void) { return eventfd(0, EFD_NONBLOCK); }

int cs_signalfd(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

bool cs_ignores_signal(int signal) {
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static volatile sig_atomic_t notedInterrupt;

// The alarm comes again every second: a call that began to block just after the signal returns then.
static void note(int signal) {
    if (signal != SIGALRM) notedInterrupt = signal;
    alarm(1);
}

void cs_note_interrupts(void) {
    struct sigaction action = {.sa_handler = note}; // without SA_RESTART
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (!cs_ignores_signal(SIGHUP)) sigaction(SIGHUP, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    signal(SIGUSR1, SIG_IGN);
}

int cs_noted_interrupt(void) { return notedInterrupt; }

int cs_next_signal(int signalDescriptor) {
    struct signalfd_siginfo info;
    return read(signalDescriptor, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

static bool write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return done;
}

int cs_own_mounts(void) {
    if (unshare(CLONE_NEWNS) != 0) {
        if (errno != EPERM) return errno;
        char user[64], group[64];
        snprintf(user, sizeof user, "%u %u 1", geteuid(), geteuid());
        snprintf(group, sizeof group, "%u %u 1", getegid(), getegid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return errno;
        if (!write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/uid_map", user) || !write_text("/proc/self/gid_map", group)) return EPERM;
    }
    // What is mounted from here on spreads to nobody.
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 ? 0 : errno;
}

int cs_mount_tmpfs(const char *path, size_t bytes) {
    char options[32];
    snprintf(options, sizeof options, "size=%zu", bytes);
    return mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0 ? 0 : errno;
}

int cs_unmount(const char *path) { return umount2(path, MNT_DETACH) == 0 ? 0 : errno; }

int cs_lock_file(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno; }

void cs_start_writeback(int fd) {
    int error = errno;
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    errno = error;
}

#if defined(__SSE4_2__)
enum { LANE = 8192 };

// What LANE zero bytes make of a checksum with one bit set, for each of its bits: they act linearly.
static const uint32_t lane_shift[32] = {
    0xE040E0AC, 0xC56DB7A9, 0x8F3719A3, 0x1B8245B7, 0x37048B6E, 0x6E0916DC, 0xDC122DB8, 0xBDC82D81,
    0x7E7C2DF3, 0xFCF85BE6, 0xFC1CC13D, 0xFDD5F48B, 0xFE479FE7, 0xF963493F, 0xF72AE48F, 0xEBB9BFEF,
    0xD29F092F, 0xA0D264AF, 0x4448BFAF, 0x88917F5E, 0x14CE884D, 0x299D109A, 0x533A2134, 0xA6744268,
    0x4904F221, 0x9209E442, 0x21FFBE75, 0x43FF7CEA, 0x87FEF9D4, 0x0A118559, 0x14230AB2, 0x28461564,
};

static uint64_t after_lane(uint64_t c) {
    uint32_t shifted = 0;
    for (int bit = 0; bit < 32; bit++) shifted ^= lane_shift[bit] & (0u - (uint32_t)(c >> bit & 1));
    return shifted;
}

static uint64_t word_at(const uint8_t *p) {
    uint64_t word;
    __builtin_memcpy(&word, p, 8);
    return word;
}
#endif

uint32_t cs_crc32c(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint64_t c = (uint32_t)~crc;
#if defined(__SSE4_2__)
    // The instruction takes three cycles and one can begin in each: three lanes at once.
    for (; count >= 3 * LANE; p += 3 * LANE, count -= 3 * LANE) {
        uint64_t second = 0, third = 0;
        for (int i = 0; i < LANE; i += 8) {
            c = _mm_crc32_u64(c, word_at(p + i));
            second = _mm_crc32_u64(second, word_at(p + LANE + i));
            third = _mm_crc32_u64(third, word_at(p + 2 * LANE + i));
        }
        c = after_lane(after_lane(c) ^ second) ^ third;
    }
    for (; count >= 8; p += 8, count -= 8) c = _mm_crc32_u64(c, word_at(p));
    for (; count; p++, count--) c = _mm_crc32_u8((uint32_t)c, *p);
#else
    for (; count; p++, count--) {
        c ^= *p;
        for (int k = 0; k < 8; k++) c = (c >> 1) ^ (0x82F63B78u & (0u - (uint32_t)(c & 1)));
    }
#endif
    return ~(uint32_t)c;
}

void cs_flush_denormals(void) {
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
}

bool cs_processor_supported(void) {
#if defined(__x86_64__) && defined(__AVX2__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#else
    return true;
#endif
}

// OpenBLAS 0.3.21 knows processors by model number and falls back to SSE3 kernels on those made after it: on a
// 2023 Xeon 33 instead of 160 GFLOP/s. The feature bits do not have that problem.
const char *cs_preferred_blas_core(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return __builtin_cpu_supports("avx512bf16") ? "Cooperlake" : "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
    return NULL;
}

int cs_enter_network(int fd) { return setns(fd, CLONE_NEWNET) == 0 ? 0 : errno; }

int cs_can_listen(const char *host) {
    struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(host, NULL, &wanted, &found) != 0) return -1;
    int failed = 0, fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, found->ai_protocol);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0) failed = errno;
    if (fd >= 0) close(fd);
    freeaddrinfo(found);
    return failed;
}

static int connections[1024];
static int connection_count;

void cs_tcp_watch(void) {
    connection_count = 0;
    DIR *open = opendir("/proc/self/fd");
    if (!open) return;
    for (struct dirent *entry; (entry = readdir(open)) && connection_count < 1024;) {
        struct tcp_info info;
        socklen_t length = sizeof info;
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0) connections[connection_count++] = fd;
    }
    closedir(open);
}

// What the peer has acknowledged and what lies in the socket: so nothing that is sent again counts.
uint64_t cs_tcp_bytes_sent(int with_waiting) {
    uint64_t sum = 0;
    for (int i = 0; i < connection_count; i++) {
        struct tcp_info info = {0};
        socklen_t length = sizeof info;
        int held = 0, waiting = 0;
        if (getsockopt(connections[i], IPPROTO_TCP, TCP_INFO, &info, &length) != 0) continue;
        // Later, so that what is acknowledged in between counts not twice but the next time.
        ioctl(connections[i], SIOCOUTQ, &held);
        if (!with_waiting) ioctl(connections[i], SIOCOUTQNSD, &waiting);
        sum += info.tcpi_bytes_acked + (uint64_t)(held > waiting ? held - waiting : 0);
    }
    return sum;
}

uint64_t cs_private_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    unsigned long present = 0, shared = 0;
    int found = fscanf(file, "%*u %lu %lu", &present, &shared);
    fclose(file);
    return found == 2 ? (uint64_t)(present - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
