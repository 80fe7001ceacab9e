// libssl, for module CTLS.
#pragma once
#include <openssl/ssl.h>
