#include "runtime/catalog.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "runtime/catalog_text.h"

namespace krux::runtime {
namespace {

const Capability& Cap(const char* name) { return *FindCapability(name); }

std::string WhyNot(const char* capability, const cbor::Value& args) {
  const Result<cbor::Map> bound = Bind(Cap(capability), args);
  if (bound) return "accepted";
  EXPECT_EQ(bound.error().code, ExitCode::kBadData);
  return bound.error().message;
}

TEST(CatalogTest, OnlyTheExactNameIsACapability) {
  EXPECT_NE(FindCapability("fs.read"), nullptr);
  for (const std::string& name : std::vector<std::string>{
           "FS.READ", "Fs.read", "fs.read ", " fs.read", "fs..read", ".fs.read", "fs.read.", "fs",
           "", "fs_read", "fs.reаd" /* Cyrillic a */, "fs．read" /* full-width stop */, "fs.read\n",
           std::string("fs.read\0", 8), "../fs.read", "fs.*", std::string(1 << 20, 'a')}) {
    EXPECT_EQ(FindCapability(name), nullptr) << name.substr(0, 40);
  }
  EXPECT_EQ(SuggestCapability("FS.Read "), "fs.read");
  EXPECT_EQ(SuggestCapability("fs..list"), "fs.list");
  EXPECT_EQ(SuggestCapability(std::string(1 << 20, 'a')), "");
}

TEST(CatalogTest, DefaultsAreFilledIn) {
  const Result<cbor::Map> bound = Bind(Cap("fs.read"), cbor::Map{{"path", "/a"}});
  ASSERT_TRUE(bound) << bound.error().message;
  EXPECT_EQ(*bound, (cbor::Map{{"path", "/a"}, {"offset", 0u}, {"limit", 16u << 20}}));
  EXPECT_EQ(*Bind(Cap("proc.exec"), cbor::Map{{"argv", cbor::Array{"id"}}}),
            (cbor::Map{{"argv", cbor::Array{"id"}}, {"timeout_ms", 30'000u}}))
      << "an optional path has no default";
}

TEST(CatalogTest, PathsBecomeCanonical) {
  const Result<cbor::Map> bound = Bind(Cap("fs.stat"), cbor::Map{{"path", "//a/./b/../c/"}});
  ASSERT_TRUE(bound);
  EXPECT_EQ(*bound, (cbor::Map{{"path", "/a/c"}}));
}

TEST(CatalogTest, BadPaths) {
  const struct {
    std::string path;
    const char* why;
  } cases[] = {
      {"", "is empty"},
      {"a/b", "is not absolute"},
      {"/..", "climbs above /"},
      {"/a/../../etc/shadow", "climbs above /"},
      {std::string("/a\0b", 4), "holds a NUL byte"},
      {std::string(4096, '/'), "is longer than 4095 bytes"},
      {"/" + std::string(256, 'a'), "has a component longer than 255 bytes"},
  };
  for (const auto& one : cases) {
    EXPECT_NE(WhyNot("fs.read", cbor::Map{{"path", one.path}}).find(one.why), std::string::npos)
        << one.why;
  }
}

// A path that is no UTF-8 cannot be said in CBOR text: the decoder refuses the packet, and a Value
// made here holds U+FFFD instead, which names another file.
TEST(CatalogTest, InvalidUtf8DoesNotPass) {
  EXPECT_FALSE(cbor::Decode(cbor::Bytes{0xa1, 0x64, 'p', 'a', 't', 'h', 0x62, '/', 0xff}));
  const Result<cbor::Map> bound = Bind(Cap("fs.stat"), cbor::Map{{"path", "/\xff"}});
  ASSERT_TRUE(bound);
  EXPECT_EQ(*bound->Find("path"), cbor::Value("/\xEF\xBF\xBD"));
}

TEST(CatalogTest, BadArguments) {
  const std::string path = "/a";
  EXPECT_EQ(WhyNot("fs.read", cbor::Map{{"path", path}, {"ofset", 1u}}),
            "`fs.read`: unknown argument `ofset`; did you mean `offset`?");
  EXPECT_EQ(WhyNot("fs.stat", cbor::Map{{"path", path}, {"Path", path}}),
            "`fs.stat`: unknown argument `Path`; did you mean `path`?");
  EXPECT_EQ(WhyNot("fs.stat", cbor::Map{{"path", path}, {"zzz", 1u}}),
            "`fs.stat`: unknown argument `zzz`; it takes `path`");
  EXPECT_EQ(WhyNot("fs.read", cbor::Map{}), "`fs.read`: needs `path`: the file, an absolute path");
  EXPECT_EQ(WhyNot("fs.read", cbor::Map{{"path", 3u}}), "`fs.read`: `path` must be text");
  EXPECT_EQ(WhyNot("fs.read", cbor::Map{{"path", cbor::Bytes{'/', 'a'}}}),
            "`fs.read`: `path` must be text");
  EXPECT_EQ(WhyNot("fs.read", cbor::Map{{"path", nullptr}}), "`fs.read`: `path` must be text");
  EXPECT_EQ(WhyNot("fs.read", cbor::Map{{"path", path}, {"offset", "1"}}),
            "`fs.read`: `offset` must be a number, 0 or more");
  EXPECT_EQ(WhyNot("fs.read", cbor::Map{{"path", path}, {"offset", -1}}),
            "`fs.read`: `offset` must be a number, 0 or more");
  EXPECT_NE(WhyNot("fs.read", cbor::Map{{"path", path}, {"offset", UINT64_MAX}}).find("at most"),
            std::string::npos);
  EXPECT_NE(WhyNot("fs.read", cbor::Map{{"path", path}, {"limit", (16u << 20) + 1}})
                .find("at most 16777216"),
            std::string::npos);
  EXPECT_EQ(WhyNot("fs.read", cbor::Map{{7u, path}}), "`fs.read`: argument names must be text");
  EXPECT_EQ(WhyNot("fs.read", cbor::Array{path}), "`fs.read`: arguments must be a map");
  EXPECT_EQ(WhyNot("fs.read", nullptr), "`fs.read`: arguments must be a map");
}

TEST(CatalogTest, ContentIsBytesOrTextOrWhatCameWithTheCall) {
  const auto bound = [](cbor::Map args, const Input* input = nullptr) {
    args.Set("path", "/a");
    return Bind(Cap("fs.write"), args, input);
  };
  EXPECT_EQ(*bound({{"content", "é"}})->Find("content"), cbor::Value(cbor::Bytes{0xc3, 0xa9}));
  EXPECT_EQ(*bound({{"content", cbor::Bytes{0xff, 0}}})->Find("content"),
            cbor::Value(cbor::Bytes{0xff, 0}));
  EXPECT_TRUE(bound({{"content", cbor::Bytes(16 * 1024)}}));
  const Input input{5, cbor::Bytes(32, 7)};
  EXPECT_EQ(*bound({}, &input)->Find("content"),
            cbor::Value(cbor::Map{{"bytes", 5u}, {"sha256", cbor::Bytes(32, 7)}}));
  for (const auto& bad :
       {bound({}), bound({{"content", 5u}}), bound({{"content", cbor::Map{}}}),
        bound({{"content", cbor::Bytes(16 * 1024 + 1)}}), bound({{"content", "x"}}, &input)}) {
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code, ExitCode::kBadData);
  }
  EXPECT_FALSE(Bind(Cap("fs.read"), cbor::Map{{"path", "/a"}}, &input)) << "it takes none";
}

TEST(CatalogTest, AnExpectationIsAbsentOrADigest) {
  const auto why = [](const cbor::Value& expect) {
    return WhyNot("fs.write", cbor::Map{{"path", "/a"}, {"content", ""}, {"expect", expect}});
  };
  EXPECT_EQ(why("absent"), "accepted");
  EXPECT_EQ(why(std::string(64, 'a')), "accepted");
  for (const cbor::Value& bad :
       {cbor::Value(""), cbor::Value("Absent"), cbor::Value(5u), cbor::Value(std::string(63, 'a')),
        cbor::Value(std::string(65, 'a')), cbor::Value(std::string(64, 'A')),
        cbor::Value(std::string(64, 'g'))})
    EXPECT_EQ(why(bad),
              "`fs.write`: `expect` must be `absent` or a SHA-256 as 64 lower-case hex digits");
}

TEST(CatalogTest, BadCommands) {
  const auto why = [](cbor::Value argv) {
    return WhyNot("proc.exec", cbor::Map{{"argv", std::move(argv)}});
  };
  EXPECT_EQ(why("id"), "`proc.exec`: `argv` must be a list of texts");
  EXPECT_EQ(why(cbor::Array{}), "`proc.exec`: `argv` needs a program as its first item");
  EXPECT_EQ(why(cbor::Array{""}), "`proc.exec`: `argv` needs a program as its first item");
  EXPECT_EQ(why(cbor::Array{"id", 3u}), "`proc.exec`: `argv` must hold texts only");
  EXPECT_EQ(why(cbor::Array{std::string("i\0d", 3)}),
            "`proc.exec`: an item of `argv` holds a NUL byte");
  EXPECT_EQ(why(cbor::Array{"echo", std::string(33'000, 'a')}),
            "`proc.exec`: `argv` is longer than 32 KiB in all");
  EXPECT_EQ(why(cbor::Array(257, "a")), "`proc.exec`: `argv` has more than 256 items");
  EXPECT_EQ(why(cbor::Array{"echo", ""}), "accepted") << "an empty argument is an argument";
  EXPECT_NE(WhyNot("proc.exec", cbor::Map{{"argv", cbor::Array{"id"}}, {"timeout_ms", 600'001u}})
                .find("at most"),
            std::string::npos);
  EXPECT_NE(WhyNot("proc.exec", cbor::Map{{"argv", cbor::Array{"id"}}, {"cwd", "a"}})
                .find("is not absolute"),
            std::string::npos);
}

TEST(CatalogTest, RequiredArgumentsComeFirst) {
  for (const Capability& capability : Catalog()) {
    bool optional = false;
    for (const Arg& arg : capability.args) {
      EXPECT_FALSE(arg.required && optional) << capability.name << " " << arg.name;
      optional |= !arg.required;
    }
    EXPECT_NE(capability.dimension, policy::Dimension::kNone);
    EXPECT_FALSE(capability.use_when.empty() || capability.not_for.empty()) << capability.name;
  }
}

TEST(CatalogTest, TheSchemaOfOneCapability) {
  EXPECT_EQ(
      ArgsSchema(Cap("fs.stat")),
      R"({"$schema":"https://json-schema.org/draft/2020-12/schema","title":"fs.stat",)"
      R"("description":"tell type, size and dates of a path","type":"object","properties":{"path":)"
      R"({"type":"string","pattern":"^/","maxLength":4095,"description":"the file or directory, an absolute path"}},)"
      R"("required":["path"],"additionalProperties":false})");
}

TEST(CatalogTest, TheDocumentIsGenerated) {
  std::ifstream file(KRUX_SOURCE_DIR "/docs/CATALOG.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), CatalogMarkdown())
      << "build krux-catalog-doc and write its output to docs/CATALOG.md";
}

}  // namespace
}  // namespace krux::runtime
