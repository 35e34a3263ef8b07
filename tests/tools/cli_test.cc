// The command line itself: usage, help, tables of codes, doctor. No gateway is started here.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "base/exit_code.h"
#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

Ran Krux(std::vector<std::string> words) {
  words.insert(words.begin(), KruxProgram());
  // Folders that do not exist: whatever is asked here must not find, or start, a gateway.
  return RunProgram(words, {.environment = {"KRUX_STATE_DIR=/nonexistent/state",
                                            "KRUX_RUNTIME_DIR=/nonexistent/run"}});
}

TEST(Cli, WrongCommandLinesAreUsageErrorsInOneLine) {
  const std::vector<std::vector<std::string>> wrong = {{},
                                                       {"cal"},
                                                       {"call"},
                                                       {"call", "fs.read", "a", "--nope"},
                                                       {"call", "-o", "xml", "fs.read", "a"},
                                                       {"gateway"},
                                                       {"audit"},
                                                       {"audit", "show"},
                                                       {"audit", "show", "x"},
                                                       {"cap", "show"},
                                                       {"version", "--", "x"}};
  for (const auto& words : wrong) {
    const Ran ran = Krux(words);
    EXPECT_EQ(ran.exit, ToInt(ExitCode::kUsage)) << testing::PrintToString(words);
    EXPECT_EQ(ran.out, "") << testing::PrintToString(words);
    EXPECT_TRUE(ran.err.starts_with("krux: ")) << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  }
}

TEST(Cli, EscapesInTheCommandLineComeBackHarmless) {
  const Ran ran = Krux({"\x1b[2J"});
  EXPECT_EQ(ran.exit, ToInt(ExitCode::kUsage));
  EXPECT_EQ(ran.err.find('\x1b'), std::string::npos);
}

TEST(Cli, HelpListsEveryExitCode) {
  const Ran ran = Krux({"help", "exit-codes"});
  EXPECT_EQ(ran.exit, 0);
#define X(enumerator, number, name, meaning) \
  EXPECT_NE(ran.out.find(meaning), std::string::npos) << name;
  KRUX_EXIT_CODES(X)
#undef X
}

TEST(Cli, ArgumentsThatCannotBeSaidAre65) {
  EXPECT_EQ(Krux({"call", "fs.read", "a", "path=b"}).exit, ToInt(ExitCode::kBadData));
  EXPECT_EQ(Krux({"call", "fs.read", "a", "limit=x"}).exit, ToInt(ExitCode::kBadData));
  EXPECT_EQ(Krux({"call", "fs.read", "\xff"}).exit, ToInt(ExitCode::kBadData));
  EXPECT_EQ(Krux({"call", "\xff", "a"}).exit, ToInt(ExitCode::kBadData));
  EXPECT_EQ(Krux({"call", "fs.read", "--args", R"({"path":"a","path":"b"})"}).exit,
            ToInt(ExitCode::kBadData));
  EXPECT_EQ(Krux({"call", "fs.read", "--args", R"({"path":"a\u0000b"})"}).exit,
            ToInt(ExitCode::kBadData));
  EXPECT_EQ(Krux({"call", "fs.read", "--args", "@/nonexistent"}).exit, ToInt(ExitCode::kNotFound));
}

TEST(Cli, TheCatalogIsReadWithoutAGateway) {
  const Ran ls = Krux({"cap", "ls", "-o", "json"});
  ASSERT_EQ(ls.exit, 0) << ls.err;
  EXPECT_TRUE(ParseJson(ls.out)) << ls.out;
  const Ran show = Krux({"cap", "show", "fs.read"});
  EXPECT_EQ(show.exit, 0);
  EXPECT_NE(show.out.find("krux call fs.read path"), std::string::npos) << show.out;
  const Ran none = Krux({"cap", "show", "fs.raed"});
  EXPECT_EQ(none.exit, ToInt(ExitCode::kNotFound));
  EXPECT_NE(none.err.find("`fs.read`"), std::string::npos) << none.err;
}

TEST(Cli, StatusWithoutAGatewayIs69OrAConfigError) {
  const Ran ran = Krux({"status"});
  EXPECT_TRUE(ran.exit == ToInt(ExitCode::kUnreachable) || ran.exit == ToInt(ExitCode::kConfig))
      << ran.err;
  EXPECT_TRUE(ran.err.starts_with("krux: "));
}

// The cgroup row, against the kernel's own files read here in another way.
TEST(Doctor, NamesMissingCgroupControllersTruthfully) {
  const Ran ran = Krux({"doctor", "--no-probe", "-o", "json"});
  const Result<cbor::Value> report = ParseJson(ran.out);
  ASSERT_TRUE(report) << ran.out;
  const cbor::Value* checks = report->map()->Find("checks");
  ASSERT_NE(checks, nullptr);
  bool seen = false;
  bool all_there = true;
  for (const cbor::Value& check : *checks->array()) {
    if (*check.map()->Find("needed") == cbor::Value(true)) {
      all_there = all_there && *check.map()->Find("present")->boolean();
    }
    if (*check.map()->Find("name") != cbor::Value("cgroup")) continue;
    seen = true;
    const std::string found = *check.map()->Find("found")->text();
    const std::string mounts = ReadFile("/proc/self/mounts");
    const size_t at = mounts.find(" cgroup2 ");
    if (at == std::string::npos) {
      EXPECT_NE(found.find("no cgroup v2"), std::string::npos) << found;
      continue;
    }
    const size_t begin = mounts.rfind(' ', at - 1) + 1;
    const std::string controllers =
        " " + ReadFile(mounts.substr(begin, at - begin) + "/cgroup.controllers");
    for (const char* name : {"memory", "pids", "cpu"}) {
      const bool there =
          (controllers + " ").find(" " + std::string(name) + " ") != std::string::npos ||
          controllers.find(" " + std::string(name) + "\n") != std::string::npos;
      const bool said_missing = found.find(std::string("lacks")) != std::string::npos &&
                                found.find(name, found.find("lacks")) != std::string::npos;
      if (geteuid() == 0) {
        EXPECT_EQ(said_missing, !there) << name << ": " << found;
      }
    }
    if (!*check.map()->Find("present")->boolean()) {
      ASSERT_NE(check.map()->Find("fix"), nullptr);
      EXPECT_NE(check.map()->Find("fix")->text()->size(), 0U);
    }
  }
  EXPECT_TRUE(seen);
  EXPECT_EQ(ran.exit, all_there ? 0 : ToInt(ExitCode::kSandbox));
}

TEST(Doctor, NeedsDegradedPrintsALayerOrNothing) {
  const Ran ran = Krux({"doctor", "--needs-degraded"});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_TRUE(ran.out.empty() || ran.out == "cgroup\n") << ran.out;
}

TEST(Doctor, NoColorIsHonoured) {
  RunOptions options{.terminal = true, .environment = {"NO_COLOR=1"}};
  EXPECT_EQ(RunProgram({KruxProgram(), "doctor", "--no-probe"}, options).out.find('\x1b'),
            std::string::npos);
  options.environment = {};
  EXPECT_NE(RunProgram({KruxProgram(), "doctor", "--no-probe"}, options).out.find('\x1b'),
            std::string::npos);
}

}  // namespace
}  // namespace krux::tools
