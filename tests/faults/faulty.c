/* A preloaded library that makes the disk and the clock misbehave, for tests.

   The file named by FAULTY_PLAN is mapped and shared: the test changes it while the process runs (tests/faults/preload.py
   knows its layout). Only files below FAULTY_DIR are concerned, and of these not the lock.

   - the nth call of one kind fails with an errno, once or from then on;
   - every fsync waits;
   - with FAULTY_JOURNAL, what a power cut would take is written there: the bytes that each write replaced, until the
     file was fsynced, and each rename and unlink, until its folder was;
   - the wall clock is ahead or behind. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { OPEN, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, KINDS };

struct plan {
    int32_t kind, nth, error, lasting, sync_delay_ms, fired, half, unused;
    int64_t clock_us;
    int64_t calls[KINDS];
};

static struct plan *plan;
static char dir[PATH_MAX];
static size_t dir_len;
static int journal = -1;
static char kept[PATH_MAX];
static int kept_number;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void start(void) __attribute__((constructor));
static void start(void) {
    const char *path = getenv("FAULTY_PLAN"), *below = getenv("FAULTY_DIR"), *to = getenv("FAULTY_JOURNAL");
    if (!path || !below) return;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *at = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (at == MAP_FAILED) return;
    snprintf(dir, sizeof dir, "%s", below);
    dir_len = strlen(dir);
    if (to) {
        journal = syscall(SYS_openat, AT_FDCWD, to, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        snprintf(kept, sizeof kept, "%s", to);
    }
    plan = at;
}

static int ours(const char *path) {
    if (!plan || strncmp(path, dir, dir_len)) return 0;
    size_t n = strlen(path);
    return !(n > 5 && !strcmp(path + n - 5, ".lock"));
}

static int path_of(int fd, char *out) {
    if (!plan) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    if (n <= 0) return 0;
    out[n] = 0;
    return ours(out);
}

static const char *whole(int at, const char *path, char *out) {
    if (path[0] == '/') return path;
    char from[PATH_MAX];
    if (at == AT_FDCWD) {
        if (syscall(SYS_getcwd, from, sizeof from) < 0) return path;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, from, PATH_MAX - 1);
        if (n <= 0) return path;
        from[n] = 0;
    }
    size_t a = strlen(from), b = strlen(path);
    if (a + b + 2 > PATH_MAX) return path;
    memcpy(out, from, a);
    out[a] = '/';
    memcpy(out + a + 1, path, b + 1);
    return out;
}

/* whether this call has to fail; errno is set */
static int fails(int kind) {
    int64_t n = __atomic_add_fetch(&plan->calls[kind], 1, __ATOMIC_SEQ_CST);
    if (!plan->nth || plan->kind != kind) return 0;
    if (plan->lasting ? n < plan->nth : n != plan->nth) return 0;
    __atomic_add_fetch(&plan->fired, 1, __ATOMIC_SEQ_CST);
    errno = plan->error;
    return 1;
}

static void put(const void *data, size_t n) {
    const char *at = data;
    while (n) {
        ssize_t done = syscall(SYS_write, journal, at, n);
        if (done <= 0) return;
        at += done;
        n -= done;
    }
}

/* one record: kind, two texts or a text and bytes, two numbers */
static void note(char kind, const char *path, const void *data, uint32_t n, int64_t a, int64_t b) {
    uint32_t length = strlen(path);
    put(&kind, 1);
    put(&length, 4);
    put(path, length);
    put(&a, 8);
    put(&b, 8);
    put(&n, 4);
    if (n) put(data, n);
}

/* what a write or a truncation at `at` is about to replace */
static void before(int fd, const char *path, int64_t at, size_t n) {
    struct stat st;
    if (journal < 0 || fstat(fd, &st)) return;
    int64_t have = st.st_size > at ? st.st_size - at : 0;
    if (have > (int64_t)n) have = n;
    char *old = have ? malloc(have) : NULL;
    int again = -1;
    if (have) {
        again = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        if (again < 0 || syscall(SYS_pread64, again, old, have, at) != have) have = 0;
        if (again >= 0) syscall(SYS_close, again);
    }
    note('w', path, old, have, at, st.st_size);
    free(old);
}

#define REAL(name, type) static type real; if (!real) real = (type)dlsym(RTLD_NEXT, name)

typedef int (*open_t)(const char *, int, ...);
#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, int); va_end(more); } \
        REAL(#name, open_t); \
        char full[PATH_MAX]; \
        if (plan && (flags & O_ACCMODE) != O_RDONLY && ours(whole(AT_FDCWD, path, full)) && fails(OPEN)) return -1; \
        return real(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)

typedef int (*openat_t)(int, const char *, int, ...);
#define OPENATS(name) \
    int name(int at, const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, int); va_end(more); } \
        REAL(#name, openat_t); \
        char full[PATH_MAX]; \
        if (plan && (flags & O_ACCMODE) != O_RDONLY && ours(whole(at, path, full)) && fails(OPEN)) return -1; \
        return real(at, path, flags, mode); \
    }
OPENATS(openat)
OPENATS(openat64)

static ssize_t written(int fd, const void *data, size_t n, int64_t at, int seek) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return seek ? syscall(SYS_write, fd, data, n) : syscall(SYS_pwrite64, fd, data, n, at);
    if (fails(WRITE)) {
        if (!plan->half || n < 2) return -1;
        n /= 2; /* as a disk that fills up within a write */
    }
    pthread_mutex_lock(&lock);
    if (seek) {
        struct stat st;
        at = (fcntl(fd, F_GETFL) & O_APPEND) && !fstat(fd, &st) ? st.st_size : lseek(fd, 0, SEEK_CUR);
    }
    before(fd, path, at, n);
    ssize_t done = seek ? syscall(SYS_write, fd, data, n) : syscall(SYS_pwrite64, fd, data, n, at);
    int said = errno;
    pthread_mutex_unlock(&lock);
    errno = said;
    return done;
}

ssize_t write(int fd, const void *data, size_t n) { return written(fd, data, n, 0, 1); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { return written(fd, data, n, at, 0); }
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) { return written(fd, data, n, at, 0); }

static int synced(int fd, long call) {
    char path[PATH_MAX];
    int mine = path_of(fd, path);
    if (mine && fails(SYNC)) return -1;
    if (mine && plan->sync_delay_ms) {
        struct timespec wait = {plan->sync_delay_ms / 1000, plan->sync_delay_ms % 1000 * 1000000L};
        nanosleep(&wait, NULL);
    }
    if (mine && journal >= 0) {
        pthread_mutex_lock(&lock);
        int done = syscall(call, fd);
        if (!done) note('s', path, NULL, 0, 0, 0);
        pthread_mutex_unlock(&lock);
        return done;
    }
    return syscall(call, fd);
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int truncated(int fd, int64_t to) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return syscall(SYS_ftruncate, fd, to);
    if (fails(TRUNCATE)) return -1;
    pthread_mutex_lock(&lock);
    before(fd, path, to, INT32_MAX);
    int done = syscall(SYS_ftruncate, fd, to);
    int said = errno;
    pthread_mutex_unlock(&lock);
    errno = said;
    return done;
}

int ftruncate(int fd, off_t to) { return truncated(fd, to); }
int ftruncate64(int fd, off64_t to) { return truncated(fd, to); }

static int renamed(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char a[PATH_MAX], b[PATH_MAX];
    const char *old = whole(from_at, from, a), *new = whole(to_at, to, b);
    int mine = plan && (ours(old) || ours(new));
    if (mine && fails(RENAME)) return -1;
    if (mine && journal >= 0) note('r', old, new, strlen(new), 0, 0);
    return syscall(SYS_renameat2, from_at, from, to_at, to, flags);
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int fa, const char *from, int ta, const char *to) { return renamed(fa, from, ta, to, 0); }
int renameat2(int fa, const char *from, int ta, const char *to, unsigned flags) { return renamed(fa, from, ta, to, flags); }

static int unlinked(int at, const char *path, int flags) {
    char a[PATH_MAX];
    const char *full = whole(at, path, a);
    int mine = plan && ours(full);
    if (mine && fails(UNLINK)) return -1;
    if (mine && journal >= 0 && !(flags & AT_REMOVEDIR)) {
        char aside[PATH_MAX + 32];
        snprintf(aside, sizeof aside, "%s.%d.%d", kept, (int)getpid(), __atomic_add_fetch(&kept_number, 1, __ATOMIC_SEQ_CST));
        if (!syscall(SYS_linkat, AT_FDCWD, full, AT_FDCWD, aside, 0)) note('u', full, aside, strlen(aside), 0, 0);
    }
    return syscall(SYS_unlinkat, at, path, flags);
}

int unlink(const char *path) { return unlinked(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return unlinked(at, path, flags); }

int clock_gettime(clockid_t which, struct timespec *out) {
    int done = syscall(SYS_clock_gettime, which, out);
    if (!done && plan && which == CLOCK_REALTIME && plan->clock_us) {
        int64_t us = (int64_t)out->tv_sec * 1000000 + out->tv_nsec / 1000 + plan->clock_us;
        out->tv_sec = us / 1000000;
        out->tv_nsec = us % 1000000 * 1000;
    }
    return done;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int done = clock_gettime(CLOCK_REALTIME, &now);
    if (!done) {
        out->tv_sec = now.tv_sec;
        out->tv_usec = now.tv_nsec / 1000;
    }
    return done;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
