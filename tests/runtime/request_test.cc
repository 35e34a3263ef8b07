#include "runtime/request.h"

#include <gtest/gtest.h>

namespace krux::runtime {
namespace {

Request Example() {
  policy::Clause clause{false, {*policy::CompilePath("${WORK}/**/*.md", "t:3")}, "t:2 paths.read"};
  policy::Scope scope{{clause, policy::Clause{true, {}, "t:9"}}};
  return {"fs.read",
          cbor::Map{{"path", "/w/a.md"}, {"offset", 3u}},
          {{"/w", true, false, false}, {"/usr", true, false, true}},
          policy::ForWork(scope, "/w")};
}

TEST(RequestTest, RoundTrip) {
  const Request request = Example();
  const Result<cbor::Bytes> bytes = EncodeRequest(request);
  ASSERT_TRUE(bytes);
  const Result<Request> back = DecodeRequest(*bytes);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->capability, request.capability);
  EXPECT_EQ(back->args, request.args);
  EXPECT_EQ(back->grants, request.grants);
  for (const char* path : {"/w/a.md", "/w/b/c.md", "/w/a.txt", "/x/a.md"}) {
    EXPECT_EQ(policy::CheckPath(back->read_scope, path).inside,
              policy::CheckPath(request.read_scope, path).inside)
        << path;
  }
  EXPECT_EQ(policy::CheckPath(back->read_scope, "/x").rule, "t:2 paths.read");
  EXPECT_EQ(*EncodeRequest(*back), *bytes);
}

TEST(RequestTest, AnUnboundPatternDoesNotBecomeAbsolute) {
  Request request = Example();
  request.read_scope = {
      {policy::Clause{false, {*policy::CompilePath("${WORK}/**", "t:3")}, "t:2"}}};
  const Result<cbor::Bytes> bytes = EncodeRequest(request);
  EXPECT_FALSE(bytes) << "`**` alone would cover every path";
}

TEST(RequestTest, DamagedBytesAreAnError) {
  const cbor::Bytes bytes = *EncodeRequest(Example());
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(DecodeRequest(std::span(bytes).first(cut))) << cut;
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    cbor::Bytes changed = bytes;
    changed[at] ^= 0xff;
    (void)DecodeRequest(changed);  // any answer, no crash
  }
  EXPECT_FALSE(DecodeRequest(cbor::Encode(cbor::Map{{"cap", "fs.read"}})));
}

TEST(RequestTest, ARequestHasALimit) {
  Request request = Example();
  request.args.Set("path", std::string(kMaxRequestBytes, 'a'));
  const Result<cbor::Bytes> bytes = EncodeRequest(request);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, ExitCode::kBadData);
}

}  // namespace
}  // namespace krux::runtime
