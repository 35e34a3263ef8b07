// Each shipped profile, in the words that `krux policy show --effective` prints, is what its golden
// file says: every dimension, scope, limit and secret. Change a profile and its file together:
//   KRUX_WRITE_GOLDEN=1 policy_text_test
#include "tools/policy_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tools/json.h"

namespace krux::tools {
namespace {

std::string Golden(const std::string& name) {
  return std::string(KRUX_SOURCE_DIR) + "/tests/tools/golden/" + name + ".txt";
}

std::string FileText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

class ProfileText : public testing::TestWithParam<std::string> {};

TEST_P(ProfileText, IsItsGoldenFile) {
  const Result<policy::Policy> policy = policy::FindProfile(GetParam());
  ASSERT_TRUE(policy) << policy.error().message;
  const std::string words = PolicyInWords(*policy);
  if (std::getenv("KRUX_WRITE_GOLDEN") != nullptr) std::ofstream(Golden(GetParam())) << words;
  EXPECT_EQ(words, FileText(Golden(GetParam())));
}

TEST_P(ProfileText, NamesEveryDimensionOnceAndFitsTheScreen) {
  const std::string words = PolicyInWords(*policy::FindProfile(GetParam()));
  static constexpr std::string_view kWhat[] = {
#define KRUX_DIMENSION(id, name, consequential, lockdown, what) what,
#include "policy/kernel/tables.def"
  };
  for (const std::string_view what : kWhat) {
    const std::string line = "\n    " + std::string(what);
    size_t count = 0;
    for (size_t at = words.find(line); at != words.npos; at = words.find(line, at + 1)) {
      const char next = words[at + line.size()];
      count += next == '\n' || words.compare(at + line.size(), 2, "  ") == 0;
    }
    EXPECT_EQ(count, 1u) << what;
  }
  std::istringstream lines(words);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST_P(ProfileText, AsDataEveryFieldHasItsLine) {
  const policy::Policy policy = *policy::FindProfile(GetParam());
  const cbor::Map data = PolicyAsData(policy);
  EXPECT_EQ(*data.Find("name"), cbor::Value(GetParam()));
  const cbor::Map* levels = data.Find("levels")->map();
  ASSERT_NE(levels, nullptr);
  for (int i = 0; i < policy::kDimensions; ++i) {
    const cbor::Map* level = levels->Find(policy::DimensionNames()[i])->map();
    ASSERT_NE(level, nullptr);
    EXPECT_EQ(*level->Find("level"), cbor::Value(policy::Name(policy.authority.levels[i])));
    EXPECT_NE(level->Find("rule")->text()->find("levels."), std::string::npos);
  }
  const Result<cbor::Value> again = ParseJson(PrintJson(cbor::Value(data), {}));
  ASSERT_TRUE(again) << again.error().message;
}

std::vector<std::string> Profiles() {
  return {policy::ProfileNames().begin(), policy::ProfileNames().end()};
}

INSTANTIATE_TEST_SUITE_P(Shipped, ProfileText, testing::ValuesIn(Profiles()),
                         [](const auto& profile) { return profile.param; });

TEST(ProfileTexts, AreTheTen) {
  EXPECT_EQ(Profiles(),
            (std::vector<std::string>{"code_review", "codegen", "doc_editor", "local_dev",
                                      "read_only", "release", "research_web", "safe_pr_fixer",
                                      "test_runner", "triage_bot"}));
}

// What a stranger wrote into a policy file must not reach the terminal of its reader.
TEST(PolicyWords, AreHarmlessForATerminal) {
  const Result<policy::Policy> policy = policy::ParsePolicy(
      "krux = 1\nname = \"t\"\nabout = \"\\u202e\"\n[levels]\nrun_exec = \"always\"\n"
      "read_files = \"always\"\n[paths]\nread = [\"/\\u009b31m/**\"]\n"
      "secret = [\"**/\\u001b[2J\"]\n[exec]\nallow = [[\"\\u001b]0;x\"]]\n"
      "[[rule]]\nwhen = \"\\u0007\"\nthen = \"deny\"\n",
      "t.toml");
  ASSERT_FALSE(policy) << "`[` is refused in patterns";
  const Result<policy::Policy> other = policy::ParsePolicy(
      "krux = 1\nname = \"t\"\nabout = \"\\u202e\"\n[levels]\nrun_exec = \"always\"\n"
      "read_files = \"always\"\n[paths]\nread = [\"/\\u009b31m/**\"]\n"
      "secret = [\"**/\\u001bx\"]\n[exec]\nallow = [[\"\\u001b\"]]\n"
      "[[rule]]\nwhen = \"\\u0007\"\nif = \"path == '\\u001b'\"\nthen = \"deny\"\n",
      "t.toml");
  ASSERT_TRUE(other) << other.error().message;
  const std::string words = PolicyInWords(*other);
  for (const char* raw : {"\x1b", "\x07", "\u202e", "\u009b"})
    EXPECT_EQ(words.find(raw), std::string::npos);
}

TEST(PolicyWords, SayLimitsRulesAndExceptions) {
  const Result<policy::Policy> policy = policy::ParsePolicy(
      "krux = 1\nname = \"t\"\nextends = \"local_dev\"\n[levels]\nwrite_files = \"low_risk\"\n"
      "git_commit = \"never\"\nread_files = \"always\"\n"
      "[approve]\nalways = [\"read_files\"]\n"
      "[paths]\nread = \"any\"\nwrite = [\"${WORK}/src/**\"]\ndeny_write = [\"**/*.lock\"]\n"
      "[window]\nnot_after = 2030-01-31T09:00:00+01:00\n[budget]\ncpu = \"1h30m\"\n"
      "[exposure]\ntrifecta = \"deny\"\n"
      "[[rule]]\nwhen = \"fs.write\"\nif = \"path like '*/gen/*'\"\nthen = \"ask\"\n",
      "t.toml");
  ASSERT_TRUE(policy) << policy.error().message;
  const std::string words = PolicyInWords(*policy);
  for (const char* line :
       {"It may, but asks each time\n    read files                      in the whole workspace\n",
        "    give files new content          in the whole workspace; of that only src/**; but not "
        "**/*.lock\n",
        "    whatever could carry data out is denied\n",
        "    does nothing after 2030-01-31T08:00:00Z\n",
        "    uses at most 1h30m of processor time\n",
        "Rules\n    fs.write asks if path like '*/gen/*'\n"}) {
    EXPECT_NE(words.find(line), std::string::npos) << line << "\n→\n" << words;
  }
}

}  // namespace
}  // namespace krux::tools
