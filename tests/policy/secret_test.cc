#include "policy/secret.h"

#include <gtest/gtest.h>

#include "policy/policy_file.h"

namespace krux::policy {
namespace {

std::vector<Pattern> Secrets(std::initializer_list<const char*> texts, const char* work = "/w") {
  std::vector<Pattern> patterns;
  for (const char* text : texts) {
    Result<Pattern> pattern = CompileSecret(text, std::string("t:1 ") + text);
    EXPECT_TRUE(pattern) << text;
    if (pattern) patterns.push_back(std::move(*pattern));
  }
  return SecretsForWork(patterns, work);
}

TEST(SecretTest, APatternHidesItsMatchAndEverythingBeneath) {
  const std::vector<Pattern> secrets =
      Secrets({"**/.ssh/**", "**/.env", "${WORK}/secrets/**", "**/*.key"});
  for (const char* path : {"/w/.ssh", "/w/.ssh/id", "/w/a/.ssh/b/c", "/.ssh", "/w/.env",
                           "/w/.env/x", "/w/secrets", "/w/secrets/a/b", "/w/a/server.key"}) {
    EXPECT_TRUE(CheckSecret(secrets, path).inside) << path;
  }
  for (const char* path : {"/", "/w", "/w/ssh", "/w/.sshx", "/w/x.env", "/w/.env.example",
                           "/w/a/secrets", "/w/key", "/secrets/a"}) {
    EXPECT_FALSE(CheckSecret(secrets, path).inside) << path;
  }
  EXPECT_EQ(CheckSecret(secrets, "/w/a/.ssh/b").rule, "t:1 **/.ssh/**");
}

TEST(SecretTest, CapitalLettersHideNothing) {
  const std::vector<Pattern> secrets = Secrets({"**/ID_rsa", "${WORK}/Secrets/**"}, "/W/Home");
  EXPECT_TRUE(CheckSecret(secrets, "/x/id_RSA").inside);
  EXPECT_TRUE(CheckSecret(secrets, "/w/home/SECRETS/a").inside);
}

TEST(SecretTest, WhatIsNotCanonicalIsSecretAndEverythingCanBe) {
  EXPECT_TRUE(CheckSecret({}, "w/a").inside);
  EXPECT_TRUE(CheckSecret({}, "").inside);
  EXPECT_FALSE(CheckSecret({}, "/w/a").inside);
  EXPECT_TRUE(CheckSecret(Secrets({"**"}), "/").inside);
  EXPECT_TRUE(CheckSecret(Secrets({"**"}), "/w/a").inside);
  EXPECT_TRUE(CheckSecret(Secrets({"${WORK}/**"}), "/w").inside);
  EXPECT_FALSE(CheckSecret(Secrets({"${WORK}/**"}), "/v").inside);
}

TEST(SecretTest, AWorkWithWildcardsInItsNameIsTakenLiterally) {
  const std::vector<Pattern> secrets = Secrets({"${WORK}/secrets"}, "/a*b");
  EXPECT_TRUE(CheckSecret(secrets, "/a*b/secrets").inside);
  EXPECT_FALSE(CheckSecret(secrets, "/axb/secrets").inside);
}

TEST(SecretTest, AMeetHasTheSecretsOfBoth) {
  const std::string head = "krux = 1\nname = \"t\"\n[paths]\nsecret = ";
  const Result<Policy> a = ParsePolicy(head + "[\"**/a\", \"**/c\"]\n", "a.toml");
  const Result<Policy> b = ParsePolicy(head + "[\"**/b\", \"**/c/**\"]\n", "b.toml");
  ASSERT_TRUE(a && b);
  const Policy both = ForWork(Meet(*a, *b), "/w");
  EXPECT_EQ(both.secret_paths.size(), 3u) << "one of two that mean the same";
  EXPECT_EQ(CheckSecret(both.secret_paths, "/w/a").rule, "a.toml:4 paths.secret");
  EXPECT_EQ(CheckSecret(both.secret_paths, "/w/b").rule, "b.toml:4 paths.secret");
  EXPECT_EQ(CheckSecret(both.secret_paths, "/w/c").rule, "b.toml:4 paths.secret");
}

TEST(SecretTest, AChildKeepsTheSecretsOfItsParent) {
  const Result<Policy> child = ParsePolicy(
      "krux = 1\nname = \"t\"\nextends = \"local_dev\"\n[paths]\nsecret = []\n", "t.toml");
  ASSERT_TRUE(child) << child.error().message;
  EXPECT_TRUE(CheckSecret(child->secret_paths, "/w/.env").inside);
}

TEST(SecretTest, TheShippedListKnowsKeysAndLeavesExamplesAlone) {
  for (const char* profile : {"local_dev", "read_only"}) {
    const Policy policy = ForWork(*FindProfile(profile), "/w");
    for (const char* path :
         {"/w/.env", "/w/a/.env.local", "/w/.env.production", "/w/.ssh/config", "/w/a/id_ed25519",
          "/w/.aws/credentials", "/w/.npmrc", "/w/.git-credentials", "/w/secrets/x",
          "/w/tls/server.key", "/w/localhost-key.pem"}) {
      EXPECT_TRUE(CheckSecret(policy.secret_paths, path).inside) << profile << " " << path;
    }
    for (const char* path : {"/w/.env.example", "/w/.env.sample", "/w/.env.test", "/w/id_rsa.pub",
                             "/w/environment", "/w/ca.pem", "/w/node_modules/x/test/cert.pem",
                             "/w/pkg/secrets/main.go", "/w/.git/HEAD"}) {
      EXPECT_FALSE(CheckSecret(policy.secret_paths, path).inside) << profile << " " << path;
    }
  }
}

TEST(SecretTest, AListIsAListOfPatterns) {
  const std::string head = "krux = 1\nname = \"t\"\n[paths]\nsecret = ";
  for (const char* text : {"\"any\"", "\"**\"", "3", "[3]", "[\"a\"]", "[\"\"]"}) {
    const Result<Policy> policy = ParsePolicy(head + text + "\n", "t.toml");
    ASSERT_FALSE(policy) << text;
    EXPECT_EQ(policy.error().code, ExitCode::kConfig);
    EXPECT_EQ(policy.error().message.rfind("t.toml:4:", 0), 0u) << policy.error().message;
  }
}

}  // namespace
}  // namespace krux::policy
