// `extends`, and the text that a policy is rebuilt from.
#include <gtest/gtest.h>

#include <chrono>

#include "policy/policy_file.h"
#include "policy/policy_text.h"

namespace krux::policy {
namespace {

std::string File(const std::string& name, const std::string& body) {
  return "krux = 1\nname = \"" + name + "\"\n" + body;
}

std::string WhyNot(const std::string& text, Sources others = {}) {
  const Result<Policy> policy = ParsePolicy(text, "t.toml", others);
  if (policy) return "accepted";
  EXPECT_EQ(policy.error().code, ExitCode::kConfig);
  return policy.error().message;
}

// One file each that asks for more than its parent has, in each key that can.
TEST(PolicyExtendTest, AFileThatWouldWidenItsParentIsAnErrorThatNamesTheLine) {
  const std::string parent = File(
      "parent",
      "[levels]\nread_files = \"low_risk\"\nrun_exec = \"low_risk\"\n[capabilities]\nallow = "
      "[\"fs.*\"]\n[paths]\nread = [\"${WORK}/docs/**\"]\nwrite = []\npublic = "
      "[\"${WORK}/docs/*.md\"]\n[net]\nallow = [\"*.example.org:443\"]\nexact = "
      "[\"https://a.example/\"]\n[git]\nrefs = [\"refs/heads/x/**\"]\n[secrets]\nallow = "
      "[\"CI_*\"]\n[mcp]\nallow = [\"wiki.*\"]\n[exec]\nallow = [[\"make\", \"**\"]]\n"
      "[exposure]\ntrifecta = \"deny\"\ntrusted_action = \"deny\"\n[budget]\ncalls = 10\nwall = "
      "\"1h\"\ncpu = \"1h\"\nbytes_in = 10\nbytes_out = 10\ncost_usd = \"1\"\ntokens_in = 1\n"
      "tokens_out = 1\n[window]\nlength = \"1h\"\nnot_before = 2026-01-01T00:00:00Z\nnot_after = "
      "2027-01-01T00:00:00Z\n[delegate]\ndepth = 1\n");
  const PolicySource others[] = {{"parent", "parent.toml", parent}};
  const std::string head = "extends = \"parent\"\n";
  const struct {
    const char* wider;
    const char* narrower;
  } cases[] = {
      {"[levels]\nread_files = \"always\"", "[levels]\nread_files = \"low_risk\""},
      {"[levels]\nwrite_files = \"low_risk\"", "[levels]\nwrite_files = \"never\""},
      {"[capabilities]\nallow = [\"*\"]", "[capabilities]\nallow = [\"fs.read\"]"},
      {"[paths]\nread = [\"${WORK}/**\"]", "[paths]\nread = [\"${WORK}/docs/a/**\"]"},
      {"[paths]\nwrite = [\"${WORK}/docs/**\"]", "[paths]\nwrite = \"any\""},
      {"[paths]\npublic = [\"${WORK}/docs/**\"]", "[paths]\npublic = [\"${WORK}/docs/a.md\"]"},
      {"[net]\nallow = [\"example.org:443\"]", "[net]\nallow = [\"a.b.example.org:443\"]"},
      {"[net]\nallow = [\"a.example.org:*\"]", "[net]\nallow = \"any\""},
      {"[net]\nexact = [\"https://a.example/b\"]", "[net]\nexact = [\"https://A.example:443\"]"},
      {"[git]\nrefs = [\"refs/heads/**\"]", "[git]\nrefs = [\"refs/heads/x/y\"]"},
      {"[secrets]\nallow = [\"*\"]", "[secrets]\nallow = [\"CI_TOKEN\"]"},
      {"[mcp]\nallow = [\"*\"]", "[mcp]\nallow = [\"wiki.search\"]"},
      {"[exec]\nallow = [[\"**\"]]", "[exec]\nallow = [[\"make\", \"test\"]]"},
      {"[exposure]\ntrifecta = \"ask\"", "[exposure]\ntrifecta = \"deny\""},
      {"[exposure]\ntrusted_action = \"ask\"", "[exposure]\ntrusted_action = \"deny\""},
      {"[budget]\ncalls = 11", "[budget]\ncalls = 10"},
      {"[budget]\nwall = \"61m\"", "[budget]\nwall = \"59m\""},
      {"[budget]\ncpu = \"2h\"", "[budget]\ncpu = \"1s\""},
      {"[budget]\nbytes_in = \"1kB\"", "[budget]\nbytes_in = 9"},
      {"[budget]\nbytes_out = 11", "[budget]\nbytes_out = 0"},
      {"[budget]\ncost_usd = \"1.000001\"", "[budget]\ncost_usd = \"0.999999\""},
      {"[budget]\ntokens_in = 2", "[budget]\ntokens_in = 1"},
      {"[budget]\ntokens_out = 2", "[budget]\ntokens_out = 1"},
      {"[window]\nlength = \"2h\"", "[window]\nlength = \"30m\""},
      {"[window]\nnot_before = 2025-12-31T23:59:59Z",
       "[window]\nnot_before = 2026-06-01T00:00:00Z"},
      {"[window]\nnot_after = 2027-01-01T00:00:01Z", "[window]\nnot_after = 2026-06-01T00:00:00Z"},
      {"[delegate]\ndepth = 2", "[delegate]\ndepth = 1"}};
  for (const auto& one : cases) {
    const std::string why = WhyNot(File("t", head + one.wider + "\n"), others);
    EXPECT_TRUE(why.starts_with("t.toml:5: `")) << one.wider << "\n→ " << why;
    EXPECT_NE(why.find("more than `parent`, which this file extends (parent.toml"), why.npos)
        << one.wider << "\n→ " << why;
    EXPECT_EQ(WhyNot(File("t", head + one.narrower + "\n"), others), "accepted") << one.narrower;
  }
}

TEST(PolicyExtendTest, WhatIsNotSaidAddsNoLimitAndGrantsNothing) {
  const Policy child = *ParsePolicy(File("t", "extends = \"release\"\n"), "t.toml");
  const Policy parent = *FindProfile("release");
  for (const Level level : child.authority.levels) EXPECT_EQ(level, Level::kNever);
  for (int i = 0; i < kBudgets; ++i) EXPECT_EQ(child.budget[i].value, parent.budget[i].value) << i;
  EXPECT_EQ(child.window_ms.value, parent.window_ms.value);
  EXPECT_EQ(child.obligations, parent.obligations) << "what asks in the parent asks here";
  EXPECT_EQ(child.secret_paths.size(), parent.secret_paths.size());
  EXPECT_EQ(child.program_trees, parent.program_trees);
  EXPECT_EQ(child.authority.required_layers, parent.authority.required_layers);
}

TEST(PolicyExtendTest, AChainOfFilesMeetsThemAll) {
  const PolicySource others[] = {
      {"grand", "grand.toml",
       File("grand",
            "extends = \"local_dev\"\n[levels]\nread_files = \"always\"\nrun_exec = "
            "\"low_risk\"\n[paths]\nread = \"any\"\nsecret = [\"**/grand\"]\n[budget]\ncalls "
            "= 50\n[exec]\nallow = \"any\"\n[approve]\nalways = [\"run_exec\"]\n")},
      {"parent", "parent.toml",
       File("parent",
            "extends = \"grand\"\n[levels]\nread_files = \"low_risk\"\nrun_exec = "
            "\"low_risk\"\n[paths]\nread = [\"${WORK}/src/**\"]\nsecret = "
            "[\"**/parent\"]\n[exec]\nallow = [[\"make\", \"**\"]]\n")}};
  const Result<Policy> child =
      ParsePolicy(File("t",
                       "extends = \"parent\"\n[levels]\nread_files = \"low_risk\"\n[paths]\nread = "
                       "\"any\"\n[budget]\ncalls = 40\n"),
                  "t.toml", others);
  ASSERT_TRUE(child) << child.error().message;
  EXPECT_EQ(child->name, "t");
  EXPECT_EQ(child->authority.levels[0], Level::kLowRisk);
  EXPECT_EQ(child->authority.levels[3], Level::kNever);
  EXPECT_EQ(child->budget[0].value, 40u);
  EXPECT_EQ(child->budget[0].rule, "t.toml:9 budget.calls");
  EXPECT_EQ(child->obligations, 1u << 3);
  EXPECT_EQ(child->program_trees, FindProfile("local_dev")->program_trees);
  const Policy bound = ForWork(*child, "/w");
  EXPECT_TRUE(CheckPath(bound.read_paths, "/w/src/a").inside);
  EXPECT_FALSE(CheckPath(bound.read_paths, "/w/a").inside);
  for (const char* secret : {"/w/grand", "/w/parent", "/w/.env"})
    EXPECT_TRUE(CheckSecret(bound.secret_paths, secret).inside) << secret;
}

TEST(PolicyExtendTest, CirclesMissingParentsAndLongChainsAreErrors) {
  const std::string line = "t.toml:3:11: ";
  const PolicySource circle[] = {{"a", "a.toml", File("a", "extends = \"b\"\n")},
                                 {"b", "b.toml", File("b", "extends = \"t\"\n")}};
  EXPECT_EQ(WhyNot(File("t", "extends = \"a\"\n"), circle),
            "b.toml:3:11: `extends` goes in a circle: `t` → `a` → `b` → `t`");
  EXPECT_EQ(WhyNot(File("t", "extends = \"t\"\n")), line + "`extends` names the policy itself");
  EXPECT_EQ(WhyNot(File("t", "extends = \"raed_only\"\n")),
            line + "no policy is called `raed_only`; did you mean `read_only`?");
  EXPECT_EQ(WhyNot(File("t", "extends = \"zebra\"\n")),
            line + "no policy is called `zebra`; krux policy ls lists them");
  EXPECT_NE(WhyNot(File("t", "extends = 3\n")).find(line + "`extends` must be"), std::string::npos);
  const PolicySource liar[] = {{"a", "a.toml", File("b", "")}};
  EXPECT_EQ(WhyNot(File("t", "extends = \"a\"\n"), liar),
            line + "`a.toml` calls itself `b`; give file and policy the same name");
  std::vector<PolicySource> chain;
  for (int i = 0; i < 20; ++i) {
    chain.push_back(
        {"p" + std::to_string(i), "p.toml",
         File("p" + std::to_string(i), "extends = \"p" + std::to_string(i + 1) + "\"\n")});
  }
  EXPECT_NE(WhyNot(File("t", "extends = \"p0\"\n"), chain).find("chain of more than 8 files"),
            std::string::npos);
  const PolicySource broken[] = {{"a", "a.toml", File("a", "[levels]\nread = \"always\"\n")}};
  EXPECT_TRUE(
      WhyNot(File("t", "extends = \"a\"\n"), broken).starts_with("a.toml:4:1: unknown key"));
}

TEST(PolicyExtendTest, AnOperatorsFileCannotStandInForAShippedOne) {
  const PolicySource others[] = {
      {"read_only", "read_only.toml", File("read_only", "[levels]\nrun_exec = \"always\"\n")}};
  EXPECT_NE(WhyNot(File("t", "extends = \"read_only\"\n[levels]\nrun_exec = \"always\"\n"), others),
            "accepted");
}

TEST(PolicyExtendTest, TheBaseIsNoProfile) {
  const Result<Policy> base = FindProfile("base");
  ASSERT_FALSE(base) << "it grants everything";
  EXPECT_TRUE(ProfileText("base").empty());
  EXPECT_EQ(WhyNot(File("t", "extends = \"base\"\n")), "accepted");
}

TEST(PolicyExtendTest, AnyExactUrlIsOnlyWhatTheParentHas) {
  EXPECT_EQ(WhyNot(File("t", "[net]\nexact = \"any\"\n")),
            "t.toml:4: `net.exact` must list whole URLs; \"any\" would let every request pass for "
            "harmless");
}

// Everything that decides, as text.
std::string Shown(const Policy& policy) {
  std::string text = policy.name + "|" + policy.about + "|";
  const auto patterns = [&](const std::vector<Pattern>& list) {
    for (const Pattern& pattern : list) {
      text += pattern.in_work ? "W" : "-";
      for (const std::string& part : pattern.parts) text += "/" + part;
      text += "@" + pattern.rule + ";";
    }
  };
  for (int i = 0; i < kDimensions; ++i) {
    text += std::string(Name(policy.authority.levels[i])) + policy.authority.level_rules[i] +
            policy.obligation_rules[i] + "|";
  }
  for (const Scope* scope : {&policy.capabilities, &policy.read_paths, &policy.write_paths,
                             &policy.public_paths, &policy.exec, &policy.hosts, &policy.exact_urls,
                             &policy.refs, &policy.secret_names, &policy.mcp_tools}) {
    for (const Clause& clause : scope->clauses) {
      text += clause.rule + (clause.any ? " any:" : ":");
      patterns(clause.allow);
      text += "!";
      patterns(clause.deny);
    }
    text += "|";
  }
  patterns(policy.sensitive_paths);
  patterns(policy.secret_paths);
  const auto bound = [&](const Bound& one) { text += std::to_string(one.value) + one.rule + "|"; };
  for (const Bound& one : policy.budget) bound(one);
  for (const Bound* one :
       {&policy.window_ms, &policy.not_before_ms, &policy.not_after_ms, &policy.delegate_depth})
    bound(*one);
  for (const Rule& rule : policy.rules) text += rule.rule + rule.text + Name(rule.then) + "|";
  for (const std::string& tree : policy.program_trees) text += tree + "|";
  return text + std::to_string(policy.obligations) + Name(policy.trifecta.verdict) +
         policy.trifecta.rule + Name(policy.trusted_action.verdict) + policy.trusted_action.rule +
         std::to_string(policy.authority.required_layers) + policy.authority.isolation_rule;
}

TEST(PolicyTextTest, EveryEffectivePolicyIsRebuiltFromItsText) {
  std::vector<Policy> policies;
  for (const std::string_view name : ProfileNames()) policies.push_back(*FindProfile(name));
  policies.push_back(
      *ParsePolicy(File("mine",
                        "extends = \"release\"\n[levels]\nread_files = \"always\"\ngit_push = "
                        "\"low_risk\"\n[paths]\nread = [\"${WORK}/a/**\"]\ndeny_read = "
                        "[\"**/x\"]\nsecret = [\"**/mine\"]\n[git]\nrefs = \"any\"\ndeny = "
                        "[\"refs/heads/main\"]\n[window]\nnot_after = 2030-01-01T00:00:00Z\n"
                        "[[rule]]\nwhen = \"fs.*\"\nif = \"path == 'x'\"\nthen = \"ask\"\n"),
                   "mine.toml"));
  policies.push_back(*ParsePolicy(
      File("alone",
           "[levels]\nrun_exec = \"always\"\n[exec]\nallow = [[\"make\"]]\nprogram_trees = "
           "[\"/usr/bin\", \"/opt\"]\n"),
      "a file with blanks 12 bytes.toml"));
  for (const Policy& ceiling : policies) {
    for (const Policy& policy : policies) {
      const Policy met = Meet(ceiling, policy);
      const Result<Policy> again = PolicyFromText(met.text);
      ASSERT_TRUE(again) << again.error().message;
      EXPECT_EQ(Shown(*again), Shown(met)) << ceiling.name << " and " << policy.name;
      EXPECT_EQ(again->text, met.text);
      EXPECT_EQ(Meet(*again, policy).text, met.text) << "meeting it again changes nothing";
    }
  }
}

TEST(PolicyTextTest, EveryTextGetsAnAnswer) {
  const std::string whole = FindProfile("release")->text;
  EXPECT_FALSE(PolicyFromText(""));
  for (size_t cut = 1; cut < whole.size(); cut += 7) (void)PolicyFromText(whole.substr(0, cut));
  for (size_t at = 0; at < whole.size(); at += 3) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x11);
    (void)PolicyFromText(changed);
  }
  for (const char* bad :
       {"krux = 1\n", "# krux policy a 5 bytes\n", "# krux policy a 99999999999999999999 bytes\nx",
        "# krux policy a -1 bytes\nx", "# krux policy bytes\nx"})
    EXPECT_FALSE(PolicyFromText(bad)) << bad;
}

TEST(PolicyExtendTest, AThousandRulesAreReadInAMoment) {
  std::string text = File("t", "extends = \"local_dev\"\n[levels]\nread_files = \"always\"\n");
  for (int i = 0; i < 1000; ++i) {
    text += "[[rule]]\nwhen = \"fs.read\"\nif = \"path == '/w/" + std::to_string(i) +
            "' or path like '*/x" + std::to_string(i) + "*'\"\nthen = \"deny\"\n";
  }
  const auto start = std::chrono::steady_clock::now();
  const Result<Policy> policy = ParsePolicy(text, "t.toml");
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(policy->rules.size(), 1000u);
  std::printf("1000 rules, %zu bytes: %.1f ms\n", text.size(),
              std::chrono::duration<double, std::milli>(took).count());
  EXPECT_LT(took, std::chrono::seconds(1)) << "sanitizers and busy machines included";
  EXPECT_NE(WhyNot(text + text.substr(text.find("[[rule]]"))), "accepted") << "1024 are the most";
}

}  // namespace
}  // namespace krux::policy
