#include "policy/nearest.h"

#include <gtest/gtest.h>

#include <array>

namespace krux::policy {
namespace {

constexpr auto kNames =
    std::to_array<std::string_view>({"fs.read", "fs.list", "fs.stat", "proc.exec"});

TEST(NearestTest, FindsWhatWasMeant) {
  EXPECT_EQ(Nearest("fs.reed", kNames), "fs.read");
  EXPECT_EQ(Nearest("FS.Read", kNames), "fs.read");
  EXPECT_EQ(Nearest("fs.read ", kNames), "fs.read");
  EXPECT_EQ(Nearest("fs..read", kNames), "fs.read");
  EXPECT_EQ(Nearest("fs.reаd", kNames), "fs.read") << "a Cyrillic letter";
  EXPECT_EQ(Nearest("proc_exec", kNames), "proc.exec");
}

TEST(NearestTest, KeepsQuietWhereNothingIsNear) {
  EXPECT_EQ(Nearest("", kNames), "");
  EXPECT_EQ(Nearest("zebra", kNames), "");
  EXPECT_EQ(Nearest("net.fetch", kNames), "");
  EXPECT_EQ(Nearest(std::string(100'000, 'f'), kNames), "");
  EXPECT_EQ(DidYouMean("zebra", kNames, "; try again"), "; try again");
  EXPECT_EQ(DidYouMean("fs.lst", kNames), "; did you mean `fs.list`?");
}

}  // namespace
}  // namespace krux::policy
