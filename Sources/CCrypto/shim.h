// Debian's libcrypto (OpenSSL): SHA-256 at the speed of the processor's own instructions.
#include <openssl/evp.h>
