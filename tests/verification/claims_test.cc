// The table of claims notices when the code under a claim has changed, and believes nothing but a
// command that succeeds on it.
#include "verification/claims/claims.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace krux::verification {
namespace {

namespace fs = std::filesystem;

class ClaimsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "krux-claims-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    fs::create_directories(root_ / "verification");
    fs::create_directories(root_ / "code" / "deep");
    Write("code/a.c", "int a;");
    Write("code/deep/b.c", "int b;");
    Write("proof.v", "Theorem t : True.");
    Claim("test -e holds", "proof.v: Theorem t");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) const {
    std::ofstream(root_ / path, std::ios::binary) << text;
  }
  void Claim(const std::string& command, const std::string& artifact,
             const std::string& files = "\"code/**\"") const {
    Write("verification/claims.toml",
          "# a table\n[[claim]]\nid = \"first\"\nclaim = \"it holds\"\nartifact = \"" + artifact +
              "\"\ncommand = \"" + command + "\"\nfiles = [" + files + "]\nchecked = \"\"\n");
  }
  bool Stale() const {
    const auto claims = ReadClaims(root_);
    EXPECT_TRUE(claims.has_value()) << claims.error().message;
    return claims->at(0).stale();
  }
  bool Update() const {
    const auto failed = UpdateClaims(root_);
    EXPECT_TRUE(failed.has_value()) << failed.error().message;
    return failed->empty();
  }

  fs::path root_;
};

TEST_F(ClaimsTest, IsStaleUntilItsCommandSucceeded) {
  EXPECT_TRUE(Stale());
  EXPECT_FALSE(Update()) << "the command fails";
  EXPECT_TRUE(Stale());
  Write("holds", "");
  EXPECT_TRUE(Update());
  EXPECT_FALSE(Stale());
}

TEST_F(ClaimsTest, EveryEditOfTheCodeMakesItStaleUntilTheCommandRanAgain) {
  Write("holds", "");
  ASSERT_TRUE(Update());
  for (const char* edit : {"code/a.c", "code/deep/b.c", "code/deep/new.c"}) {
    Write(edit, std::string("int changed; // ") + edit);
    EXPECT_TRUE(Stale()) << edit;
    ASSERT_TRUE(Update());
    EXPECT_FALSE(Stale()) << edit;
  }
  fs::remove(root_ / "code/deep/new.c");
  EXPECT_TRUE(Stale()) << "a file less is another code";
  ASSERT_TRUE(Update());
  fs::rename(root_ / "code/a.c", root_ / "code/c.c");
  EXPECT_TRUE(Stale()) << "a file of another name is another code";
}

TEST_F(ClaimsTest, TheSameCodeAgainIsTheCodeThatWasChecked) {
  Write("holds", "");
  ASSERT_TRUE(Update());
  Write("code/a.c", "int other;");
  fs::remove(root_ / "holds");
  EXPECT_FALSE(Update());
  EXPECT_TRUE(Stale());
  Write("code/a.c", "int a;");
  EXPECT_FALSE(Stale());
}

TEST_F(ClaimsTest, WhatTheCommandChangedUnderItselfWasNotChecked) {
  Claim("echo >> code/a.c", "proof.v");
  EXPECT_FALSE(Update());
  EXPECT_TRUE(Stale());
}

TEST_F(ClaimsTest, AClaimThatRestsOnNothingIsAnError) {
  for (const char* artifact : {"gone.v", "proof.v: Theorem u"}) {
    Claim("true", artifact);
    EXPECT_FALSE(ReadClaims(root_).has_value()) << artifact;
  }
  Claim("true", "proof.v", "\"gone/**\"");
  EXPECT_FALSE(ReadClaims(root_).has_value());
  Write("verification/claims.toml", "");
  EXPECT_FALSE(ReadClaims(root_).has_value());
}

TEST(Claims, TheTableOfThisTreeIsWhole) {
  const auto claims = ReadClaims(KRUX_SOURCE_DIR);
  ASSERT_TRUE(claims.has_value()) << claims.error().message;
  int theorems = 0;
  for (const Claim& claim : *claims)
    theorems += claim.id.starts_with("T") && claim.id.size() <= 3 && !claim.id.ends_with("b");
  EXPECT_EQ(theorems, 25);
}

}  // namespace
}  // namespace krux::verification
