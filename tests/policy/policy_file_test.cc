#include "policy/policy_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace krux::policy {
namespace {

constexpr std::string_view kHead = "krux = 1\nname = \"t\"\n";

Policy Parsed(const std::string& body) {
  Result<Policy> policy = ParsePolicy(std::string(kHead) + body, "t.toml");
  EXPECT_TRUE(policy) << policy.error().message;
  return policy ? *policy : Policy{};
}

std::string WhyNot(const std::string& text) {
  const Result<Policy> policy = ParsePolicy(text, "t.toml");
  if (policy) return "accepted";
  EXPECT_EQ(policy.error().code, ExitCode::kConfig);
  return policy.error().message;
}

Level LevelOf(const Policy& policy, Dimension dimension) {
  return policy.authority.levels[static_cast<int>(dimension)];
}

TEST(PolicyFileTest, WhatIsNotSaidIsNotGranted) {
  const Policy policy = Parsed("");
  for (const Level level : policy.authority.levels) EXPECT_EQ(level, Level::kNever);
  EXPECT_FALSE(CheckPath(policy.read_paths, "/w/a").inside);
  EXPECT_FALSE(CheckPath(policy.write_paths, "/w/a").inside);
  EXPECT_FALSE(CheckArgv(policy.exec, std::vector<std::string>{"id"}).inside);
  EXPECT_TRUE(policy.program_trees.empty());
  EXPECT_TRUE(CheckName(policy.capabilities, "fs.read").inside)
      << "an extra scope: absent = any granted dimension";
  EXPECT_EQ(CheckPath(policy.read_paths, "/w").rule, "t.toml: paths.read not set = nothing");
}

TEST(PolicyFileTest, EachRuleKnowsItsLine) {
  const Policy policy = Parsed(
      "[levels]\nread_files = \"always\"\n"  // lines 3, 4
      "[paths]\nread = [\n  \"/a/**\",\n"    // 5, 6, 7
      "  \"/b/**\",\n]\n"                    // 8
      "[exec]\nallow = [[\"make\", \"test\"]]\n");
  EXPECT_EQ(policy.authority.level_rules[0], "t.toml:4 levels.read_files");
  EXPECT_EQ(policy.authority.level_rules[1], "t.toml: levels.write_files not set = never");
  EXPECT_EQ(CheckPath(policy.read_paths, "/a/x").rule, "t.toml:7 paths.read");
  EXPECT_EQ(CheckPath(policy.read_paths, "/b/x").rule, "t.toml:8 paths.read");
  EXPECT_EQ(CheckPath(policy.read_paths, "/c").rule, "t.toml:6 paths.read");
  EXPECT_EQ(CheckArgv(policy.exec, std::vector<std::string>{"make", "test"}).rule,
            "t.toml:11 exec.allow");
}

TEST(PolicyFileTest, AnyIsWrittenOutAndAnEmptyListIsNothing) {
  const Policy policy = Parsed("[paths]\nread = \"any\"\nwrite = []\n[capabilities]\nallow = []\n");
  EXPECT_TRUE(CheckPath(policy.read_paths, "/etc/shadow").inside);
  EXPECT_FALSE(CheckPath(policy.write_paths, "/tmp").inside);
  EXPECT_FALSE(CheckName(policy.capabilities, "fs.read").inside);
}

TEST(PolicyFileTest, ErrorsNameFileLineAndColumn) {
  const std::string head(kHead);
  const struct {
    std::string text;
    const char* message;
  } cases[] = {
      {head + "[levels]\nread_file = \"always\"\n",
       "t.toml:4:1: unknown key `levels.read_file`; did you mean `read_files`?"},
      {head + "[levels]\nread_files = \"allways\"\n",
       "t.toml:4:14: `levels.read_files` must be one of `never`, `low_risk`, `always`; did you "
       "mean `always`?"},
      {head + "[levels]\nread_files = true\n", "t.toml:4:14: `levels.read_files` must be one of"},
      {head + "[path]\nread = []\n", "t.toml:3:2: unknown key `path`; did you mean `paths`?"},
      {head + "paths = 3\n", "t.toml:3:9: `paths` must be a table"},
      {head + "[paths]\nread = \"all\"\n", "t.toml:4:8: `paths.read` must be a list, or \"any\""},
      {head + "[paths]\nread = [\"a/b\"]\n", "t.toml:4:9: pattern `a/b` is not absolute"},
      {head + "[paths]\nread = [3]\n", "t.toml:4:9: `paths.read` must hold patterns in quotes"},
      {head + "[exec]\nallow = [\"ls\"]\n", "t.toml:4:10: `exec.allow` must hold lists of words"},
      {head + "[exec]\nallow = [[]]\n", "t.toml:4:10: pattern `[]` is empty"},
      {head + "[exec]\nprogram_trees = [\"/usr/../etc\"]\n",
       "t.toml:4:18: `exec.program_trees` must hold absolute paths"},
      {head + "[exec]\nprogram_trees = [\"/\"]\n", "t.toml:4:18: `exec.program_trees` must hold"},
      {head + "[isolation]\nrequire = [\"landlok\"]\n",
       "t.toml:4:12: unknown layer `landlok`; did you mean `landlock`?"},
      {head + "[levels]\nread_files = \"always\"\nread_files = \"never\"\n", "t.toml:5:"},
      {head + "name = \"u\"\n", "t.toml:3:"},
      {head + "extends = \"read_onyl\"\n",
       "t.toml:3:11: no policy is called `read_onyl`; did you mean `read_only`?"},
      {head + "extends = \"t\"\n", "t.toml:3:11: `extends` names the policy itself"},
      {head + "[nets]\nallow = []\n", "t.toml:3:2: unknown key `nets`; did you mean `net`?"},
      {"krux = 2\nname = \"t\"\n", "t.toml:1:8: `krux` must be 1"},
      {"krux = 1.0\nname = \"t\"\n", "t.toml:1:8: `krux` must be 1"},
      {"name = \"t\"\n", "`krux = 1` is missing"},
      {"krux = 1\n", "`name` is missing"},
      {"krux = 1\nname = \"../x\"\n", "t.toml:2:8: `name` must be"},
      {"krux = \n", "t.toml:1:"},
      {"krux = 1\nname = \"\xff\"\n", "t.toml:2:"},
      {std::string(10'000'000, '#'), "t.toml:1:1: the file is larger than 256 KiB"},
  };
  for (const auto& one : cases) {
    const std::string why = WhyNot(one.text);
    EXPECT_NE(why.find(one.message), std::string::npos) << one.text.substr(0, 200) << "\n→ " << why;
  }
}

TEST(PolicyFileTest, AnyTextGetsAnAnswer) {
  std::string deep = std::string(kHead) + "x = ";
  for (int i = 0; i < 20'000; ++i) deep += '[';
  EXPECT_NE(WhyNot(deep), "accepted");
  const std::string whole(ProfileText("local_dev"));
  for (size_t cut = 0; cut < whole.size(); cut += 3) (void)ParsePolicy(whole.substr(0, cut), "cut");
  for (size_t at = 0; at < whole.size(); at += 2) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    (void)ParsePolicy(changed, "changed");
  }
}

// Regression: both ended the process inside the TOML parser, one at an assertion, one behind it.
TEST(PolicyFileTest, WhatTheParserThoughtImpossibleIsAnErrorWithItsLine) {
  EXPECT_EQ(WhyNot("krux = 1\nname = \"t\"\n\n[#\n[paths]\nread = []\n").substr(0, 11),
            "t.toml:4:1:");
  EXPECT_EQ(WhyNot("[#").substr(0, 11), "t.toml:1:1:");
  EXPECT_EQ(WhyNot("krux = 1\nh = \xca\x94x\n").substr(0, 9), "t.toml:2:");
}

TEST(PolicyFileTest, ExtendsCanOnlyTighten) {
  const Policy child = Parsed(
      "extends = \"read_only\"\n[levels]\nread_files = \"always\"\n"
      "[paths]\nread = [\"${WORK}/a/**\"]\n[exec]\nallow = \"any\"\n");
  EXPECT_EQ(child.name, "t");
  EXPECT_EQ(LevelOf(child, Dimension::kReadFiles), Level::kAlways);
  EXPECT_EQ(LevelOf(child, Dimension::kGlobSearch), Level::kNever) << "unlisted here = never";
  const Policy bound = ForWork(child, "/w");
  EXPECT_TRUE(CheckPath(bound.read_paths, "/w/a").inside);
  EXPECT_FALSE(CheckPath(bound.read_paths, "/w/b").inside);
  EXPECT_FALSE(CheckArgv(bound.exec, std::vector<std::string>{"id"}).inside);
  EXPECT_NE(child.authority.required_layers, 0u) << "the parent's floor stays";
}

TEST(PolicyFileTest, MeetIsNeverMoreThanEither) {
  const Policy a = *FindProfile("local_dev");
  const Policy b = Parsed(
      "[levels]\nread_files = \"low_risk\"\nweb_fetch = \"always\"\n[paths]\nread = "
      "[\"${WORK}/docs/**\", \"/etc/**\"]\n"
      "[exec]\nallow = [[\"make\", \"**\"]]\nprogram_trees = [\"/usr/bin\", "
      "\"/opt\"]\n[isolation]\nrequire = [\"cgroup\"]\n");
  const Policy met = ForWork(Meet(a, b), "/w");
  const Policy wa = ForWork(a, "/w"), wb = ForWork(b, "/w");
  EXPECT_EQ(met.name, "t");
  for (int i = 0; i < kDimensions; ++i) {
    EXPECT_EQ(met.authority.levels[i], std::min(a.authority.levels[i], b.authority.levels[i]));
  }
  EXPECT_EQ(met.authority.level_rules[0], "t.toml:4 levels.read_files")
      << "the rule of the one that lowered it";
  for (const char* path : {"/w/a", "/w/docs", "/w/docs/a", "/etc/passwd"}) {
    EXPECT_EQ(CheckPath(met.read_paths, path).inside,
              CheckPath(wa.read_paths, path).inside && CheckPath(wb.read_paths, path).inside)
        << path;
  }
  EXPECT_EQ(met.program_trees, std::vector<std::string>{"/usr/bin"});
  EXPECT_EQ(met.authority.required_layers, a.authority.required_layers | LayerBit("cgroup"));
  EXPECT_NE(met.text.find(b.text), std::string::npos);
  EXPECT_NE(met.text.find(a.text), std::string::npos) << "what is hashed covers both";
  EXPECT_EQ(Meet(a, a).text, a.text);
}

TEST(PolicyFileTest, ADenialUnderACeilingNamesThePolicyNotTheCeiling) {
  const Policy met = ForWork(Meet(*FindProfile("local_dev"), *FindProfile("read_only")), "/w");
  const Membership out = CheckPath(met.read_paths, "/etc/shadow");
  EXPECT_FALSE(out.inside);
  EXPECT_EQ(out.rule, "read_only:12 paths.read");
  EXPECT_EQ(CheckPath(met.read_paths, "/w/a").rule, "read_only:12 paths.read");
  EXPECT_EQ(met.authority.level_rules[0], "read_only:7 levels.read_files");
  const Policy reversed = Meet(*FindProfile("read_only"), *FindProfile("local_dev"));
  EXPECT_EQ(reversed.authority.levels[3], Level::kNever)
      << "a ceiling holds whichever side it stands on";
}

TEST(PolicyFileTest, ReadOnlyIsWhatItSays) {
  const Policy policy = ForWork(*FindProfile("read_only"), "/w");
  for (int i = 0; i < kDimensions; ++i) {
    const auto dimension = static_cast<Dimension>(i);
    const bool reads = dimension == Dimension::kReadFiles || dimension == Dimension::kGlobSearch ||
                       dimension == Dimension::kGrepSearch;
    EXPECT_EQ(policy.authority.levels[i], reads ? Level::kAlways : Level::kNever)
        << Name(dimension);
  }
  EXPECT_TRUE(CheckPath(policy.read_paths, "/w/README.md").inside);
  EXPECT_FALSE(CheckPath(policy.read_paths, "/etc/shadow").inside);
  EXPECT_FALSE(CheckPath(policy.write_paths, "/w/README.md").inside);
  EXPECT_FALSE(CheckArgv(policy.exec, std::vector<std::string>{"id"}).inside);
}

TEST(PolicyFileTest, LocalDevIsWhatItSays) {
  const Policy policy = ForWork(*FindProfile("local_dev"), "/w");
  const char* expected[kDimensions] = {
      "always",   "low_risk", "low_risk", "low_risk", "always", "always", "never", "never",
      "low_risk", "never",    "never",    "never",    "never",  "never",  "never", "never"};
  for (int i = 0; i < kDimensions; ++i)
    EXPECT_STREQ(Name(policy.authority.levels[i]), expected[i]) << i;
  EXPECT_TRUE(CheckPath(policy.write_paths, "/w/a").inside);
  EXPECT_FALSE(CheckPath(policy.write_paths, "/tmp/a").inside);
  EXPECT_TRUE(CheckArgv(policy.exec, std::vector<std::string>{"anything", "at", "all"}).inside);
  EXPECT_NE(std::ranges::find(policy.program_trees, "/usr"), policy.program_trees.end());
}

TEST(PolicyFileTest, TheExampleOfTheManualIsAPolicy) {
  std::ifstream file(KRUX_SOURCE_DIR "/docs/POLICY.md");
  std::stringstream all;
  all << file.rdbuf();
  const std::string page = all.str();
  const size_t begin = page.find("```toml\n") + 8;
  const Result<Policy> policy =
      ParsePolicy(page.substr(begin, page.find("```", begin) - begin), "docs/POLICY.md");
  ASSERT_TRUE(policy) << policy.error().message;
  const Policy bound = ForWork(*policy, "/w");
  EXPECT_EQ(bound.name, "my_tests");
  EXPECT_TRUE(CheckArgv(bound.exec, std::vector<std::string>{"pytest", "-x"}).inside);
  EXPECT_FALSE(CheckArgv(bound.exec, std::vector<std::string>{"rm"}).inside);
  EXPECT_FALSE(CheckPath(bound.write_paths, "/w/src").inside);
}

TEST(PolicyFileTest, EveryShippedProfileParsesUnderItsName) {
  for (const std::string_view name : ProfileNames()) {
    const Result<Policy> policy = FindProfile(name);
    ASSERT_TRUE(policy) << policy.error().message;
    EXPECT_EQ(policy->name, name);
    EXPECT_NE(policy->text.find(ProfileText(name)), std::string::npos);
  }
  const Result<Policy> unknown = FindProfile("readonly");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ExitCode::kConfig);
  EXPECT_EQ(unknown.error().message, "unknown profile `readonly`; did you mean `read_only`?");
}

}  // namespace
}  // namespace krux::policy
