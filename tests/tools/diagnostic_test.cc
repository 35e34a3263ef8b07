// CBOR for reading: the examples of RFC 8949, appendix A, and bytes that somebody hostile wrote.
#include "tools/diagnostic.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/cbor_value.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

std::vector<uint8_t> FromHex(const std::string& hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

TEST(Diagnostic, ShowsTheExamplesOfTheStandard) {
  const std::pair<const char*, const char*> kExamples[] = {
      {"00", "0"},
      {"1bffffffffffffffff", "18446744073709551615"},
      {"3bffffffffffffffff", "-18446744073709551616"},
      {"20", "-1"},
      {"fb3ff199999999999a", "1.1000000000000001"},
      {"f97c00", "Infinity"},
      {"f97e00", "NaN"},
      {"f4", "false"},
      {"f6", "null"},
      {"f7", "undefined"},
      {"c11a514b67b0", "1(1363896240)"},
      {"4401020304", "h'01020304'"},
      {"6161", "\"a\""},
      {"62225c", R"("\"\\")"},
      {"62c3bc", R"("\u00fc")"},
      {"64f0908591", R"("\ud800\udd51")"},
      {"8301820203820405", "[1, [2, 3], [4, 5]]"},
      {"a201020304", "{1: 2, 3: 4}"},
      {"bf61610161629f0203ffff", R"({"a": 1, "b": [2, 3]})"},
      {"5f42010243030405ff", "h'0102030405'"},
      {"7f657374726561646d696e67ff", R"("streaming")"},
  };
  for (const auto& [hex, text] : kExamples) EXPECT_EQ(DiagnosticText(FromHex(hex)), text) << hex;
}

TEST(Diagnostic, JsonKeepsWhatJsonDoesNotHave) {
  EXPECT_EQ(DiagnosticJson(FromHex("a2014200ff6161f6")), R"({"1":{"hex":"00ff"},"a":null})");
  EXPECT_EQ(DiagnosticJson(FromHex("c100")), R"({"tag":1,"value":0})");
  EXPECT_EQ(DiagnosticJson(FromHex("a1410001")), R"({"h'00'":1})");
}

TEST(Diagnostic, WhatIsNotExactlyOneItemIsNothing) {
  for (const char* hex :
       {"", "0000", "18", "82", "5b7fffffffffffffff", "9bffffffffffffffff", "ff", "bf01ff", "1c"}) {
    EXPECT_FALSE(DiagnosticText(FromHex(hex))) << hex;
  }
  // Deeper than libcbor's stack, and as deep as it goes.
  EXPECT_FALSE(DiagnosticText(std::vector<uint8_t>(60'000, 0x81)));
  std::vector<uint8_t> deep(2000, 0x81);
  deep.push_back(0);
  EXPECT_TRUE(DiagnosticText(deep));
}

TEST(Diagnostic, WhateverTheBytesSayItIsOnePrintableLineAndItsJsonParses) {
  std::mt19937 random(3);
  size_t shown = 0;
  for (int i = 0; i < 60'000; ++i) {
    std::vector<uint8_t> bytes(1 + random() % 24);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    // Half of them are text that only claims to be UTF-8.
    if (i % 2 == 0) bytes[0] = static_cast<uint8_t>(0x60 + bytes.size() - 1);
    const auto text = DiagnosticText(bytes);
    if (!text) continue;
    ++shown;
    const std::string json = *DiagnosticJson(bytes);
    for (const char c : *text + json) ASSERT_TRUE(c >= 0x20 && c < 0x7f);
    if (bytes[0] >> 5 == 3) {
      ASSERT_TRUE(ParseJson("[" + json + "]")) << json;
    }
  }
  EXPECT_GT(shown, 1000u);
}

TEST(Diagnostic, FindsTheNumberUnderAKey) {
  EXPECT_EQ(NumberUnderKey(FromHex("a201020304"), 3), 4u);
  EXPECT_FALSE(NumberUnderKey(FromHex("a201020304"), 4));
  EXPECT_FALSE(NumberUnderKey(FromHex("a10120"), 1));
  EXPECT_FALSE(NumberUnderKey(FromHex("80"), 1));
}

}  // namespace
}  // namespace krux::tools
