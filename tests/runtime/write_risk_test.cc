#include "runtime/write_risk.h"

#include <gtest/gtest.h>

namespace krux::runtime {
namespace {

policy::Risk Of(const char* path) { return WriteRisk(path, "/w/project"); }

TEST(WriteRiskTest, WhatToolsRunUnaskedIsElevated) {
  for (const char* path :
       {"/w/project/.git/hooks/pre-commit", "/w/project/sub/.git/config", "/w/project/.git",
        "/w/project/.github/workflows/ci.yml", "/w/project/.gitlab-ci.yml", "/w/project/Makefile",
        "/w/project/sub/Makefile", "/w/project/package.json", "/w/project/.bashrc",
        "/w/project/.envrc", "/w/project/AGENTS.md", "/w/project/CLAUDE.md",
        "/w/project/.ssh/authorized_keys", "/w/project/.vscode/tasks.json"}) {
    EXPECT_EQ(Of(path), policy::Risk::kElevated) << path;
  }
}

TEST(WriteRiskTest, CaseMakesNoDifference) {
  EXPECT_EQ(Of("/w/project/.GIT/hooks/x"), policy::Risk::kElevated);
  EXPECT_EQ(Of("/w/project/makefile"), policy::Risk::kElevated);
}

TEST(WriteRiskTest, OrdinaryFilesAreLow) {
  for (const char* path : {"/w/project/src/main.c", "/w/project/README.md", "/w/project/git",
                           "/w/project/Makefile.txt", "/w/project/a.github", "/w/project"}) {
    EXPECT_EQ(Of(path), policy::Risk::kLow) << path;
  }
}

TEST(WriteRiskTest, OnlyWhatLiesBelowWorkCounts) {
  EXPECT_EQ(WriteRisk("/home/ann/.claude/work/a.c", "/home/ann/.claude/work"), policy::Risk::kLow);
  EXPECT_EQ(WriteRisk("/home/ann/.claude/work/.git/x", "/home/ann/.claude/work"),
            policy::Risk::kElevated);
  EXPECT_EQ(WriteRisk("/home/ann/.claude/workshop/a.c", "/home/ann/.claude/work"),
            policy::Risk::kElevated)
      << "another directory whose name begins alike is judged in whole";
}

}  // namespace
}  // namespace krux::runtime
