// The attribute walk against lengths that lie: it stays inside what was received and says so.
#include "sandbox/nftables/netlink_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace krux::sandbox {
namespace {

std::vector<uint8_t> Attr(uint16_t length, uint16_t type, const std::vector<uint8_t>& data) {
  std::vector<uint8_t> bytes;
  for (const uint16_t half : {length, type}) {
    bytes.push_back(static_cast<uint8_t>(half));
    bytes.push_back(static_cast<uint8_t>(half >> 8));
  }
  for (const uint8_t byte : data) bytes.push_back(byte);
  return bytes;
}

TEST(NetlinkReader, WalksPaddedAttributes) {
  std::vector<uint8_t> bytes = Attr(6, 1, {'a', 0, 0xff, 0xff});
  const std::vector<uint8_t> next = Attr(8, 2 | NLA_F_NESTED, {0, 0, 0, 7});
  bytes.insert(bytes.end(), next.begin(), next.end());
  Attributes attributes(bytes.data(), bytes.size());
  const Attribute* a = attributes.Next();
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->Text(), "a");
  EXPECT_FALSE(a->Big32());
  a = attributes.Next();
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->type, 2);
  EXPECT_EQ(a->Big32(), 7u);
  EXPECT_EQ(attributes.Next(), nullptr);
  EXPECT_FALSE(attributes.malformed());
}

TEST(NetlinkReader, AcceptsALastAttributeWithoutPadding) {
  const std::vector<uint8_t> bytes = Attr(5, 1, {'x'});
  Attributes attributes(bytes.data(), bytes.size());
  ASSERT_NE(attributes.Next(), nullptr);
  EXPECT_EQ(attributes.Next(), nullptr);
  EXPECT_FALSE(attributes.malformed());
}

TEST(NetlinkReader, ALengthThatLiesIsMalformed) {
  const std::vector<uint8_t> lies[] = {
      Attr(9, 1, {0, 0, 0, 0}),  // longer than what there is
      Attr(3, 1, {0, 0, 0, 0}),  // shorter than its own head
      Attr(0, 1, {}),            // would never end
      {4, 0, 1},                 // half a head
  };
  for (const std::vector<uint8_t>& bytes : lies) {
    Attributes attributes(bytes.data(), bytes.size());
    EXPECT_EQ(attributes.Next(), nullptr);
    EXPECT_TRUE(attributes.malformed());
    EXPECT_EQ(attributes.Next(), nullptr);
  }
}

TEST(NetlinkReader, ATextWithANulInsideIsNoText) {
  const std::vector<uint8_t> bytes = Attr(8, 1, {'a', 0, 'b', 0});
  Attributes attributes(bytes.data(), bytes.size());
  EXPECT_EQ(attributes.Next()->Text(), "");
}

// Random bytes: every attribute lies inside the buffer (AddressSanitizer reads with us), and the
// walk ends.
TEST(NetlinkReader, RandomBytesStayInside) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; round++) {
    std::vector<uint8_t> bytes(random() % 64);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() % 3 == 0 ? random() % 12 : 0);
    Attributes attributes(bytes.data(), bytes.size());
    size_t sum = 0;
    while (const Attribute* a = attributes.Next()) {
      for (size_t i = 0; i < a->size; i++) sum += a->data[i];
      ASSERT_LE(a->data + a->size, bytes.data() + bytes.size());
    }
    EXPECT_LE(sum, 255 * bytes.size());
  }
}

}  // namespace
}  // namespace krux::sandbox
