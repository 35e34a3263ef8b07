#include "base/path.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace {

struct Canonical {
  krux_path_status status;
  std::string path;
  bool operator==(const Canonical&) const = default;
};

Canonical Canon(const std::string& in, size_t out_size = KRUX_PATH_SIZE) {
  std::string out(out_size, '#');
  size_t length = 99;
  krux_path_status status =
      krux_path_canonical(in.data(), in.size(), out.data(), out_size, &length);
  if (status != KRUX_PATH_OK) {
    EXPECT_EQ(length, 0u) << in;
    if (out_size > 0) {
      EXPECT_EQ(out[0], '\0') << in;
    }
    return {status, ""};
  }
  EXPECT_EQ(out[length], '\0');
  return {status, out.substr(0, length)};
}

Canonical Ok(const std::string& path) { return {KRUX_PATH_OK, path}; }
Canonical Refused(krux_path_status status) { return {status, ""}; }

TEST(PathTest, CollapsesSlashesAndDots) {
  EXPECT_EQ(Canon("/"), Ok("/"));
  EXPECT_EQ(Canon("///"), Ok("/"));
  EXPECT_EQ(Canon("/."), Ok("/"));
  EXPECT_EQ(Canon("/a"), Ok("/a"));
  EXPECT_EQ(Canon("/a/"), Ok("/a"));
  EXPECT_EQ(Canon("//a///b/./c//"), Ok("/a/b/c"));
  EXPECT_EQ(Canon("/a/../b"), Ok("/b"));
  EXPECT_EQ(Canon("/a/b/../../c"), Ok("/c"));
  EXPECT_EQ(Canon("/a/.."), Ok("/"));
  EXPECT_EQ(Canon("/..."), Ok("/..."));
  EXPECT_EQ(Canon("/..a/.b/c.."), Ok("/..a/.b/c.."));
  EXPECT_EQ(Canon("/with space/é"), Ok("/with space/é"));
}

TEST(PathTest, RefusesClimbingAboveTheRoot) {
  EXPECT_EQ(Canon("/.."), Refused(KRUX_PATH_ABOVE_ROOT));
  EXPECT_EQ(Canon("/a/../.."), Refused(KRUX_PATH_ABOVE_ROOT));
  EXPECT_EQ(Canon("/./../a"), Refused(KRUX_PATH_ABOVE_ROOT));
}

TEST(PathTest, RefusesWhatIsNoAbsolutePath) {
  EXPECT_EQ(Canon(""), Refused(KRUX_PATH_EMPTY));
  EXPECT_EQ(Canon("a/b"), Refused(KRUX_PATH_RELATIVE));
  EXPECT_EQ(Canon("./a"), Refused(KRUX_PATH_RELATIVE));
  EXPECT_EQ(Canon("../a"), Refused(KRUX_PATH_RELATIVE));
  EXPECT_EQ(Canon(std::string("/a\0b", 4)), Refused(KRUX_PATH_NUL));
  EXPECT_EQ(Canon(std::string("/a\0", 3)), Refused(KRUX_PATH_NUL));
}

TEST(PathTest, RefusesTooLong) {
  EXPECT_EQ(Canon("/" + std::string(255, 'a')), Ok("/" + std::string(255, 'a')));
  EXPECT_EQ(Canon("/" + std::string(256, 'a')), Refused(KRUX_PATH_COMPONENT_TOO_LONG));
  // Even where `..` would take it away again: the kernel would refuse to look it up.
  EXPECT_EQ(Canon("/" + std::string(256, 'a') + "/.."), Refused(KRUX_PATH_COMPONENT_TOO_LONG));
  std::string longest;
  while (longest.size() < 4095) longest += "/abc";
  longest.resize(4095);
  EXPECT_EQ(Canon(longest).status, KRUX_PATH_OK);
  EXPECT_EQ(Canon(longest + "d"), Refused(KRUX_PATH_TOO_LONG));
  EXPECT_EQ(Canon(std::string(5000, '/')), Refused(KRUX_PATH_TOO_LONG));
}

TEST(PathTest, NeverWritesBeyondTheBuffer) {
  EXPECT_EQ(Canon("/abc", 5), Ok("/abc"));
  EXPECT_EQ(Canon("/abc", 4), Refused(KRUX_PATH_NO_SPACE));
  EXPECT_EQ(Canon("/", 2), Ok("/"));
  EXPECT_EQ(Canon("/", 1), Refused(KRUX_PATH_NO_SPACE));
  EXPECT_EQ(Canon("/", 0), Refused(KRUX_PATH_NO_SPACE));
}

TEST(PathTest, RefusesInvalidUtf8) {
  for (const char* bad : {"/\x80", "/\xC0\xAF", "/\xC1\xBF", "/\xE0\x80\xAF", "/\xED\xA0\x80",
                          "/\xF0\x8F\xBF\xBF", "/\xF4\x90\x80\x80", "/\xF5\x80\x80\x80", "/\xFF",
                          "/\xC3", "/\xE2\x82", "/\xF0\x9F\x98", "/\xC3(", "/\xE2(\xA1"}) {
    EXPECT_EQ(Canon(bad), Refused(KRUX_PATH_NOT_UTF8)) << testing::PrintToString(std::string(bad));
  }
  for (const char* good : {"/\x7F", "/\xC2\x80", "/\xE0\xA0\x80", "/\xED\x9F\xBF", "/\xEE\x80\x80",
                           "/\xF0\x90\x80\x80", "/\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(Canon(good), Ok(good));
  }
}

// The same thing written the slow way.
Canonical Reference(const std::string& in) {
  if (in.empty()) return Refused(KRUX_PATH_EMPTY);
  if (in[0] != '/') return Refused(KRUX_PATH_RELATIVE);
  std::vector<std::string> names;
  std::string name;
  for (char c : in + "/") {
    if (c != '/') {
      name += c;
      continue;
    }
    if (name == "..") {
      if (names.empty()) return Refused(KRUX_PATH_ABOVE_ROOT);
      names.pop_back();
    } else if (!name.empty() && name != ".") {
      names.push_back(name);
    }
    name.clear();
  }
  std::string joined;
  for (const std::string& part : names) joined += "/" + part;
  return Ok(joined.empty() ? "/" : joined);
}

TEST(PathTest, EqualsTheReferenceAndIsIdempotent) {
  std::mt19937 random(7);
  const std::string alphabet = "//..ab";
  for (int i = 0; i < 200'000; i++) {
    std::string in = random() % 8 == 0 ? "" : "/";
    for (size_t n = random() % 14; n > 0; n--) in += alphabet[random() % alphabet.size()];
    const Canonical got = Canon(in);
    ASSERT_EQ(got, Reference(in)) << in;
    if (got.status == KRUX_PATH_OK) {
      ASSERT_EQ(Canon(got.path), got) << in;
    }
  }
}

TEST(PathTest, WithinComparesWholeComponents) {
  auto within = [](std::string_view tree, std::string_view path) {
    return krux_path_within(tree.data(), tree.size(), path.data(), path.size());
  };
  EXPECT_TRUE(within("/a", "/a"));
  EXPECT_TRUE(within("/a", "/a/b"));
  EXPECT_TRUE(within("/", "/a"));
  EXPECT_TRUE(within("/", "/"));
  EXPECT_FALSE(within("/a", "/ab"));
  EXPECT_FALSE(within("/a/b", "/a"));
  EXPECT_FALSE(within("", "/a"));
}

TEST(PathTest, EveryStatusHasWords) {
  for (int status = KRUX_PATH_EMPTY; status <= KRUX_PATH_NO_SPACE; status++) {
    EXPECT_STRNE(krux_path_status_text(static_cast<krux_path_status>(status)), "is malformed");
  }
}

}  // namespace
