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

/* Join the threads. No model may be running. Harmless when none were started. */
void edgetvm_threads_stop(void);

/* Does nothing. A call to it makes a linker take the pool out of an archive: kernels hold only a
 * weak NULL for the pool, and that alone does not. edgetvm.c calls it if EDGETVM_THREADS is defined. */
void edgetvm_threads_link(void);

#ifdef __cplusplus
}
#endif

#endif
