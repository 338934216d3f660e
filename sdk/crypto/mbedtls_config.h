/* What services use of mbedTLS: SHA-256, HMAC, and verification of ECDSA on two curves. */
#ifndef POLIS_MBEDTLS_CONFIG_H
#define POLIS_MBEDTLS_CONFIG_H

#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ASN1_PARSE_C /* ecdsa.c asks for both, though only raw r and s are used */
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP256K1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECP_NO_INTERNAL_RNG /* nothing secret is computed here */
#define MBEDTLS_ECDSA_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_MD_C

#include "mbedtls/check_config.h"

#endif
