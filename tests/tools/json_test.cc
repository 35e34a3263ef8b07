#include "tools/json.h"

#include <gtest/gtest.h>

namespace krux::tools {
namespace {

std::string ErrorOf(std::string_view text) {
  const Result<cbor::Value> value = ParseJson(text);
  if (value) return "accepted";
  EXPECT_EQ(value.error().code, ExitCode::kBadData);
  return value.error().message;
}

TEST(Json, ReadsWhatArgumentsAreMadeOf) {
  const Result<cbor::Value> value =
      ParseJson(R"({"b":[1,-2,true,null,"é"],"a":{"x":18446744073709551615}})");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(*value, cbor::Value(cbor::Map{{"a", cbor::Map{{"x", UINT64_MAX}}},
                                          {"b", cbor::Array{1, -2, true, nullptr, "é"}}}));
}

TEST(Json, RefusesWhatTheLibraryWouldAccept) {
  EXPECT_NE(ErrorOf(R"({"a":1,"a":2})").find("`a` stands twice"), std::string::npos);
  EXPECT_NE(ErrorOf(R"({"a":{"b":1,"b":1}})").find("`b` stands twice"), std::string::npos);
  EXPECT_NE(ErrorOf("1.5").find("whole number"), std::string::npos);
  EXPECT_NE(ErrorOf("1e3").find("whole number"), std::string::npos);
  EXPECT_NE(ErrorOf(std::string(100'000, '[')).find("deeper"), std::string::npos);
  EXPECT_NE(ErrorOf(std::string(kMaxJsonDepth + 1, '[')).find("deeper"), std::string::npos);
  EXPECT_NE(ErrorOf("\"" + std::string(kMaxJsonBytes, 'a') + "\"").find("longer"),
            std::string::npos);
}

TEST(Json, RefusesWhatIsNoJson) {
  for (const char* text : {"", "{", "[1,]", "{\"a\"}", "nul", "1 2", "\"\xff\"", "\"\\ud800\"",
                           "{1:2}", "NaN", "01"}) {
    EXPECT_NE(ErrorOf(text), "accepted") << text;
  }
}

TEST(Json, DeepestAllowedIsRead) {
  EXPECT_TRUE(ParseJson(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')));
}

TEST(Json, PrintsInOneLineAndIndented) {
  const cbor::Value value = cbor::Map{{"a", cbor::Bytes{0x00, 0xff}}, {"b", cbor::Array{-1, "x"}}};
  EXPECT_EQ(PrintJson(value, {}), R"({"a":"00ff","b":[-1,"x"]})");
  EXPECT_EQ(PrintJson(cbor::Map{{"a", 1}}, {.indent = 2, .ascii_only = false}), "{\n  \"a\": 1\n}");
}

TEST(Json, ForATerminalNothingButPrintableAsciiIsLeft) {
  const std::string text =
      PrintJson("\x1b[2J \u009b \u202e \x7f é", {.indent = -1, .ascii_only = true});
  for (const char c : text) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << text;
}

TEST(Json, Base64IsThatOfTheRfc) {
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("f"), "Zg==");
  EXPECT_EQ(Base64("fo"), "Zm8=");
  EXPECT_EQ(Base64("foo"), "Zm9v");
  EXPECT_EQ(Base64("foob"), "Zm9vYg==");
  EXPECT_EQ(Base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(Base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64("\xff\xfe\xfd"), "//79");
}

}  // namespace
}  // namespace krux::tools
