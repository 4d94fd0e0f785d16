/* Functions that go wrong, for tasks to call. */

#include <pthread.h>
#include <stddef.h>

int native_writes_to(int *address) {
    *address = 1;
    return *address;
}

static int (*volatile nothing)(int) = NULL;

int native_calls_nothing(int number) {
    return nothing(number) + 1;
}

int native_recurses(int depth) {
    volatile char room[4096];
    room[0] = (char)depth;
    return depth < 0 ? 0 : native_recurses(depth + 1) + room[0];
}

static void *native_thread(void *address) {
    native_writes_to(address);
    return NULL;
}

int native_crashes_in_a_thread(int *address) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, native_thread, address) != 0) return 1;
    return pthread_join(thread, NULL);
}
