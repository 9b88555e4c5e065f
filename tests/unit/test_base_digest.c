#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/digest.h"

/* FIPS 180-4 examples, and the empty descriptor of the OCI image-spec */
#define D_EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define D_ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define D_MILLION_A "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
#define D_BRACES "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

static void known_digests(void **state)
{
	char got[DIGEST_STR_SIZE];

	(void)state;
	sha256_buf_str("", 0, got);
	assert_string_equal(got, D_EMPTY);
	sha256_buf_str(NULL, 0, got);
	assert_string_equal(got, D_EMPTY);
	sha256_buf_str("abc", 3, got);
	assert_string_equal(got, D_ABC);
	sha256_buf_str("{}", 2, got);
	assert_string_equal(got, D_BRACES);
}

static void a_running_hash_starts_anew_after_its_end(void **state)
{
	struct sha256 *h = sha256_new();
	char got[DIGEST_STR_SIZE];
	char chunk[1000];

	(void)state;
	memset(chunk, 'a', sizeof(chunk));
	for (int i = 0; i < 1000; i++)
		sha256_add(h, chunk, sizeof(chunk));
	sha256_end_str(h, got);
	assert_string_equal(got, D_MILLION_A);
	sha256_end_str(h, got);
	assert_string_equal(got, D_EMPTY);
	sha256_add(h, "a", 1);
	sha256_add(h, "bc", 2);
	sha256_end_str(h, got);
	assert_string_equal(got, D_ABC);
	sha256_free(h);
	sha256_free(NULL);
}

static void only_the_exact_form_is_valid(void **state)
{
	char s[256];

	(void)state;
	assert_true(digest_valid(D_ABC));
	assert_false(digest_valid(NULL));
	assert_false(digest_valid(""));
	assert_false(digest_valid("sha256:"));
	assert_false(digest_valid(D_ABC "0"));
	assert_false(digest_valid(D_ABC " "));
	assert_false(
		digest_valid("SHA256:"
			     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	assert_false(
		digest_valid("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	assert_false(digest_valid(
		"sha256:../../../../../../../../../../../../../../../../../../../etc/pass"));
	/* every length that is too short, each in a buffer that ends there */
	for (size_t n = 0; n < strlen(D_ABC); n++) {
		snprintf(s, sizeof(s), "%.*s", (int)n, D_ABC);
		assert_false(digest_valid(s));
	}
	/* every digit of upper case, or no digit at all */
	for (size_t i = strlen(DIGEST_PREFIX); i < strlen(D_ABC); i++) {
		static const char bad[] = "ABCDEFGg/:`\x80 ";

		for (size_t k = 0; k < sizeof(bad); k++) {
			memcpy(s, D_ABC, sizeof(D_ABC));
			s[i] = bad[k];
			assert_false(digest_valid(s));
		}
	}
}

static void parse_and_format_are_inverse(void **state)
{
	uint8_t d[DIGEST_SIZE], untouched[DIGEST_SIZE];
	char s[DIGEST_STR_SIZE];

	(void)state;
	assert_int_equal(digest_parse(D_ABC, d), 0);
	assert_int_equal(d[0], 0xba);
	assert_int_equal(d[31], 0xad);
	digest_format(d, s);
	assert_string_equal(s, D_ABC);
	assert_string_equal(digest_hex(s), &D_ABC[7]);

	memset(untouched, 7, sizeof(untouched));
	assert_int_equal(digest_parse("sha256:ba78", untouched), -1);
	for (size_t i = 0; i < sizeof(untouched); i++)
		assert_int_equal(untouched[i], 7);
}

static void hex_of_any_length(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x0f, 0xf0, 0xff};
	char s[9];

	(void)state;
	hex_format(bytes, sizeof(bytes), s);
	assert_string_equal(s, "000ff0ff");
	hex_format(bytes, 0, s);
	assert_string_equal(s, "");
}

static void files_by_other_algorithms(void **state)
{
	char hex[DIGEST_ANY_HEX_MAX + 1];
	FILE *f = tmpfile();

	(void)state;
	assert_non_null(f);
	fputs("abc", f);
	fflush(f);
	assert_int_equal(digest_file(fileno(f), "sha256", hex), 0);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(digest_file(fileno(f), "sha384", hex), 0);
	assert_string_equal(hex, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
				 "8086072ba1e7cc2358baeca134c825a7");
	assert_int_equal(digest_file(fileno(f), "sha512", hex), 0);
	assert_string_equal(hex, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
				 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
	assert_int_equal(digest_file(fileno(f), "md5", hex), -1);
	assert_int_equal(digest_hex_len("sha512"), 128);
	assert_int_equal(digest_hex_len("sha1"), 0);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_digests),
		cmocka_unit_test(a_running_hash_starts_anew_after_its_end),
		cmocka_unit_test(only_the_exact_form_is_valid),
		cmocka_unit_test(parse_and_format_are_inverse),
		cmocka_unit_test(hex_of_any_length),
		cmocka_unit_test(files_by_other_algorithms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
