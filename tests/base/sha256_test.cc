// The worker's SHA-256 against the vectors of FIPS 180-4 and against OpenSSL, in whole and in
// pieces.
#include "base/sha256.h"

#include <gtest/gtest.h>

#include <random>
#include <span>
#include <string>

#include "base/digest.h"

namespace krux {
namespace {

std::string Hash(std::string_view text) {
  krux_sha256 state;
  krux_sha256_init(&state);
  krux_sha256_update(&state, text.data(), text.size());
  uint8_t digest[KRUX_SHA256_BYTES];
  krux_sha256_final(&state, digest);
  return ToHex(digest);
}

// NIST, "Descriptions of SHA-256", and the million letters of FIPS 180-2 appendix B.3.
TEST(Sha256Test, GivesThePublishedAnswers) {
  EXPECT_EQ(Hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Hash(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, EveryLengthAroundABlockAgreesWithOpenSsl) {
  std::string text;
  for (int size = 0; size < 300; ++size) {
    ASSERT_EQ(Hash(text), ToHex(Sha256(text))) << size;
    text += static_cast<char>(size * 37);
  }
}

TEST(Sha256Test, PiecesOfAnySizeGiveTheSame) {
  std::mt19937 random(7);
  std::string text(10'000, '\0');
  for (char& c : text) c = static_cast<char>(random());
  for (int round = 0; round < 200; ++round) {
    krux_sha256 state;
    krux_sha256_init(&state);
    for (size_t at = 0; at < text.size();) {
      const size_t size = std::min<size_t>(random() % 200, text.size() - at);
      krux_sha256_update(&state, text.data() + at, size);
      at += size;
    }
    uint8_t digest[KRUX_SHA256_BYTES];
    krux_sha256_final(&state, digest);
    ASSERT_EQ(ToHex(digest), ToHex(Sha256(text))) << round;
  }
}

}  // namespace
}  // namespace krux
