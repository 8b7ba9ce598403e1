/* EdgeTVM on Linux: the threads that parallel kernels share. C99 and POSIX threads.
 *
 * Without a call to edgetvm_threads_start everything runs on the caller's own thread.
 */
#ifndef EDGETVM_THREADS_H
#define EDGETVM_THREADS_H

#ifdef __cplusplus
extern "C" {
#endif

#define EDGETVM_MAX_THREADS 64

/* Let every model of this process use `threads` threads, the calling one included.
 *
 * Returns 0, EINVAL (threads < 1 or > EDGETVM_MAX_THREADS), EBUSY (already started: stop first)
 * or what pthread_create gave; after an error no thread is left running.
 * Models that run at the same moment do not share: one gets the threads, the others run alone.
 */
int edgetvm_threads_start(int threads);

/* The same with each thread on a core of its own: `cores[i]` is that of thread i, and the calling thread is
 * thread 0, which edgetvm_threads_stop lets go where it could before. Also returns EINVAL for a core that
 * this process may not use, or what pthread_setaffinity_np gave.
 */
int edgetvm_threads_start_on(int threads, const int *cores);

/* The numbers of the `count` fastest cores that this thread may use, the fastest first: 0, or EINVAL for a
 * count that is more than those, or less than 1.
 */
int edgetvm_threads_fastest(int count, int *cores);

/* Join the threads. No model may be running. Harmless when none were started. */
void edgetvm_threads_stop(void);

/* Does nothing. A call to it makes a linker take the pool out of an archive: kernels hold only a
 * weak NULL for the pool, and that alone does not. edgetvm.c calls it if EDGETVM_THREADS is defined. */
void edgetvm_threads_link(void);

#ifdef __cplusplus
}
#endif

#endif
