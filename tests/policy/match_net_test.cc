#include "policy/match_net.h"

#include <gtest/gtest.h>

namespace krux::policy {
namespace {

Scope Hosts(std::vector<std::string> patterns) {
  Clause clause{false, {}, "team:1 net.allow"};
  for (const std::string& text : patterns) {
    const Result<Pattern> pattern = CompileHost(text, "team:2 net.allow");
    EXPECT_TRUE(pattern) << text << ": " << (pattern ? "" : pattern.error().message);
    if (pattern) clause.allow.push_back(*pattern);
  }
  return Scope{{clause}};
}

bool Inside(const std::string& pattern, std::string_view host, uint16_t port = 443) {
  return CheckHost(Hosts({pattern}), host, port).inside;
}

TEST(MatchNetTest, Hosts) {
  EXPECT_TRUE(Inside("docs.python.org:443", "docs.python.org"));
  EXPECT_TRUE(Inside("docs.python.org:443", "DOCS.Python.ORG."));
  EXPECT_TRUE(Inside("Docs.Python.org.:443", "docs.python.org"));
  EXPECT_FALSE(Inside("docs.python.org:443", "docs.python.org", 80));
  EXPECT_FALSE(Inside("docs.python.org:443", "docs.python.org.evil.example"));
  EXPECT_FALSE(Inside("docs.python.org:443", "evil-docs.python.org"));
  EXPECT_TRUE(Inside("docs.python.org:*", "docs.python.org", 8080));
  EXPECT_TRUE(Inside("*.example.org:443", "a.example.org"));
  EXPECT_TRUE(Inside("*.example.org:443", "a.b.example.org"));
  EXPECT_FALSE(Inside("*.example.org:443", "example.org")) << "at least one label";
  EXPECT_FALSE(Inside("*.example.org:443", "badexample.org"));
  EXPECT_FALSE(Inside("a.example:443", "a.example", 0));
  EXPECT_FALSE(Inside("a.example:443", ""));
  EXPECT_FALSE(Inside("a.example:443", "a..example"));
  EXPECT_FALSE(Inside("a.example:443", std::string_view("a.example\0", 10)));
  EXPECT_FALSE(CheckHost(Scope{}, "a.example", 443).inside);
  EXPECT_FALSE(CheckHost(Hosts({}), "a.example", 443).inside);
}

TEST(MatchNetTest, AddressesAreNoNamesAndHaveOneSpelling) {
  EXPECT_TRUE(Inside("192.0.2.7:80", "192.0.2.7", 80));
  EXPECT_FALSE(Inside("192.0.2.7:80", "192.0.2.70", 80));
  EXPECT_TRUE(Inside("[2001:db8::1]:443", "2001:DB8:0:0:0:0:0:1"));
  EXPECT_TRUE(Inside("[2001:db8::1]:443", "[2001:db8::1]"));
  EXPECT_FALSE(Inside("[2001:db8::1]:443", "2001:db8::2"));
  EXPECT_TRUE(Inside("192.0.2.7:80", "::ffff:192.0.2.7", 80)) << "the packets go to the same host";
  // Spellings that some resolvers take for addresses are no names either.
  for (const char* host :
       {"0x7f000001", "0177.0.0.1", "127.1", "2130706433", "1.2.3.4.5", "fe80::1%eth0"})
    EXPECT_FALSE(Inside("*.example.org:443", host)) << host;
  EXPECT_FALSE(CheckHost(Scope{{Clause{false, {}, "r"}}}, "127.0.0.1", 443).inside);
}

TEST(MatchNetTest, RefusesPatternsThatSeemToMeanMore) {
  for (const char* bad : {"",
                          "example.org",
                          "example.org:",
                          "example.org:0",
                          "example.org:65536",
                          "example.org:0443",
                          "example.org:443:443",
                          ":443",
                          "*:443",
                          "a.*.org:443",
                          "*a.org:443",
                          "a*.org:443",
                          "*.*.org:443",
                          "**.org:443",
                          "exa mple.org:443",
                          "b\xc3\xbc"
                          "cher.example:443",
                          "https://a.org:443",
                          "a.org/x:443",
                          "user@a.org:443",
                          "[::1]",
                          "[::1]:x",
                          "[a.org]:443",
                          "::1:443",
                          "[::1:443",
                          "-a.org:443",
                          "a-.org:443",
                          "a..org:443",
                          "127.1:443",
                          "0x7f000001:443",
                          "?.org:443",
                          "a.org:+443"}) {
    const Result<Pattern> pattern = CompileHost(bad, "r");
    ASSERT_FALSE(pattern) << bad;
    EXPECT_EQ(pattern.error().code, ExitCode::kConfig);
  }
  EXPECT_FALSE(CompileHost(std::string(300, 'a') + ":443", "r"));
  EXPECT_FALSE(CompileHost(std::string("a\0b.org:443", 11), "r"));
}

bool Exact(const std::string& pattern, std::string_view url) {
  const Result<Pattern> compiled = CompileUrl(pattern, "r");
  EXPECT_TRUE(compiled) << pattern;
  return compiled && CheckUrl(Scope{{Clause{false, {*compiled}, "r"}}}, url).inside;
}

TEST(MatchNetTest, UrlsAreCompared) {
  const std::string url = "https://docs.python.org/3/?highlight=x";
  EXPECT_TRUE(Exact(url, url));
  EXPECT_TRUE(Exact(url, "HTTPS://Docs.Python.org.:443/3/?highlight=x"));
  EXPECT_FALSE(Exact(url, "https://docs.python.org/3/?highlight=xy"));
  EXPECT_FALSE(Exact(url, "https://docs.python.org/3/Ahighlight=x")) << "`?` is no wildcard here";
  EXPECT_FALSE(Exact(url, "http://docs.python.org/3/?highlight=x"));
  EXPECT_FALSE(Exact(url, "https://docs.python.org:444/3/?highlight=x"));
  EXPECT_FALSE(Exact(url, "https://me@docs.python.org/3/?highlight=x"));
  EXPECT_FALSE(Exact(url, url + "#a"));
  EXPECT_TRUE(Exact("https://a.example", "https://a.example/"));
  EXPECT_FALSE(Exact("https://a.example/A", "https://a.example/a")) << "a path keeps its case";
  EXPECT_TRUE(Exact("https://[2001:db8::1]:444/", "https://[2001:DB8::1]:444/"));
  EXPECT_TRUE(Exact("https://a.example/[x]{y}", "https://a.example/[x]{y}"));
  for (const char* bad :
       {"", "a.example", "ftp://a.example/", "https://", "https:///x", "https://a.example/*",
        "https://a.example/ x", "https://a.example/#x", "https://a@b.example/",
        "https://a.example:0/", "https://a.example\\@b/", "https://\xc3\xbc.example/"})
    EXPECT_FALSE(CompileUrl(bad, "r")) << bad;
}

bool Ref(const std::string& pattern, std::string_view ref) {
  const Result<Pattern> compiled = CompileRef(pattern, "r");
  EXPECT_TRUE(compiled) << pattern;
  return compiled && CheckRef(Scope{{Clause{false, {*compiled}, "r"}}}, ref).inside;
}

TEST(MatchNetTest, Refs) {
  EXPECT_TRUE(Ref("refs/heads/main", "refs/heads/main"));
  EXPECT_FALSE(Ref("refs/heads/main", "refs/heads/main2"));
  EXPECT_FALSE(Ref("refs/heads/main", "main")) << "not written in full";
  EXPECT_TRUE(Ref("refs/heads/feature/**", "refs/heads/feature/a/b"));
  EXPECT_FALSE(Ref("refs/heads/*", "refs/heads/feature/a"));
  EXPECT_TRUE(Ref("refs/tags/v*", "refs/tags/v1.0"));
  for (const char* no : {"refs/heads/../tags/x", "refs/heads//x", "refs/heads/.x", "refs/heads/x/"})
    EXPECT_FALSE(Ref("refs/**", no)) << no;
  for (const char* bad :
       {"", "main", "/refs/heads/main", "refs/heads/", "refs//x", "refs/heads/[a]"})
    EXPECT_FALSE(CompileRef(bad, "r")) << bad;
}

}  // namespace
}  // namespace krux::policy
