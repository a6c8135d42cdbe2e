/* Names of hosts, services and protocols: the headers have these functions,
 * the library has not, and `_socket` cannot be built without. Nothing is ever
 * found. */
#include <netdb.h>
#include <stddef.h>

static int no_data;

int *__h_errno_location(void) {
    no_data = HOST_NOT_FOUND;
    return &no_data;
}

const char *hstrerror(int error) { return "There are no hosts here"; }

struct hostent *gethostbyname(const char *name) { return NULL; }

struct hostent *gethostbyaddr(const void *address, socklen_t length, int type) { return NULL; }

struct servent *getservbyname(const char *name, const char *protocol) { return NULL; }

struct servent *getservbyport(int port, const char *protocol) { return NULL; }

struct protoent *getprotobyname(const char *name) { return NULL; }
