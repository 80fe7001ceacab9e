// libcrypto's digests, for module CHash.
#pragma once
#include <openssl/evp.h>
