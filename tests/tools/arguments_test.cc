#include "tools/arguments.h"

#include <gtest/gtest.h>

namespace krux::tools {
namespace {

Result<cbor::Map> Build(std::string_view capability, const std::vector<std::string>& words,
                        const std::vector<std::string>& after = {}) {
  return BuildArguments(capability, words, after, std::nullopt, "/home/ann/project");
}

std::string ErrorOf(const Result<cbor::Map>& args) {
  if (args) return "accepted";
  EXPECT_EQ(args.error().code, ExitCode::kBadData);
  return args.error().message;
}

TEST(Arguments, WordsFillRequiredOnesAndPathsBecomeAbsolute) {
  EXPECT_EQ(*Build("fs.read", {"README.md"}), (cbor::Map{{"path", "/home/ann/project/README.md"}}));
  EXPECT_EQ(*Build("fs.read", {"../x//y/./z"}), (cbor::Map{{"path", "/home/ann/x/y/z"}}));
  EXPECT_EQ(*Build("fs.read", {"/etc/hosts", "limit=10"}),
            (cbor::Map{{"path", "/etc/hosts"}, {"limit", 10}}));
  EXPECT_EQ(*Build("fs.read", {"path=a"}), (cbor::Map{{"path", "/home/ann/project/a"}}));
}

TEST(Arguments, AWordThatOnlyLooksNamedIsAPath) {
  EXPECT_EQ(*Build("fs.read", {"./a=b"}), (cbor::Map{{"path", "/home/ann/project/a=b"}}));
  EXPECT_EQ(*Build("fs.read", {"[a,b]"}), (cbor::Map{{"path", "/home/ann/project/[a,b]"}}));
  EXPECT_EQ(*Build("fs.read", {"A=b"}), (cbor::Map{{"path", "/home/ann/project/A=b"}}));
}

TEST(Arguments, ProgramWordsArePassedUntouched) {
  const Result<cbor::Map> args =
      Build("proc.exec", {}, {"sh", "-c", "a=b; echo $a", "--", "[x,y]"});
  ASSERT_TRUE(args) << args.error().message;
  EXPECT_EQ(*args->Find("argv"),
            cbor::Value(cbor::Array{"sh", "-c", "a=b; echo $a", "--", "[x,y]"}));
  EXPECT_NE(ErrorOf(Build("fs.read", {"a"}, {"b"})).find("after `--`"), std::string::npos);
}

TEST(Arguments, WhatCannotBeSaidIsBadData) {
  EXPECT_NE(ErrorOf(Build("fs.read", {"a", "path=b"})).find("one word too many"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Build("fs.read", {"path=a", "path=b"})).find("given twice"), std::string::npos);
  EXPECT_NE(ErrorOf(Build("fs.read", {"a", "b"})).find("one word too many"), std::string::npos);
  EXPECT_NE(ErrorOf(Build("fs.read", {"a", "limit=ten"})).find("whole number"), std::string::npos);
  EXPECT_NE(ErrorOf(Build("fs.read", {"a", "limit=-1"})).find("whole number"), std::string::npos);
  EXPECT_NE(ErrorOf(Build("fs.read", {"a", "limit=99999999999999999999"})).find("whole number"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Build("fs.read", {"\xff"})).find("UTF-8"), std::string::npos);
  EXPECT_NE(ErrorOf(Build("fs.read", {std::string("a\0b", 3)})), "accepted");
  EXPECT_NE(ErrorOf(Build("fs.read", {std::string(300, 'a')})), "accepted");
  EXPECT_NE(ErrorOf(Build("fs.read", {std::string(5000, '/') + "a"})), "accepted");
  EXPECT_NE(ErrorOf(Build("fs.read", {""})), "accepted");
}

TEST(Arguments, ErrorsNeverCarryAnEscapeRaw) {
  EXPECT_EQ(ErrorOf(Build("fs.read", {"\x1b[2J\xff"})).find('\x1b'), std::string::npos);
}

TEST(Arguments, JsonAndWordsTogether) {
  const cbor::Value json = cbor::Map{{"path", "sub/file"}, {"limit", 5}};
  const Result<cbor::Map> args = BuildArguments("fs.read", {"offset=2"}, {}, json, "/w");
  ASSERT_TRUE(args) << args.error().message;
  EXPECT_EQ(*args, (cbor::Map{{"path", "/w/sub/file"}, {"limit", 5}, {"offset", 2}}));
  EXPECT_NE(ErrorOf(BuildArguments("fs.read", {"limit=1"}, {}, json, "/w")).find("given twice"),
            std::string::npos);
  EXPECT_NE(ErrorOf(BuildArguments("fs.read", {}, {}, cbor::Value(7), "/w")).find("JSON object"),
            std::string::npos);
}

TEST(Arguments, UnknownCapabilitiesAreLeftToTheGateway) {
  EXPECT_TRUE(Build("fs.raed", {"a", "x=1"}));
}

}  // namespace
}  // namespace krux::tools
