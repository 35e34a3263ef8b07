#include "runtime/worker/answer.h"

#include <gtest/gtest.h>

#include "base/path.h"
#include "tests/runtime/worker/serving.h"

namespace krux::runtime {
namespace {

TEST(AnswerTest, NamesBecomeText) {
  EXPECT_EQ(SafeText("plain é 😀"), "plain é 😀");
  EXPECT_EQ(SafeText("a\xff"
                     "b"),
            "a\\xffb");
  EXPECT_EQ(SafeText("\xc3"), "\\xc3");
  EXPECT_EQ(SafeText("\xe2\x82x"), "\\xe2\\x82x");
  EXPECT_EQ(SafeText(""), "");
}

TEST(AnswerTest, NonsenseRequestsGetAnAnswer) {
  for (const cbor::Bytes& request :
       {cbor::Bytes{}, cbor::Bytes{0xff}, cbor::Bytes(1000, 0x81),
        cbor::Encode(cbor::Map{{"cap", "fs.read"}}), cbor::Bytes(100'000, 0)}) {
    const Served served = ServeBytes(request);
    EXPECT_EQ(served.exit, 0);
    EXPECT_TRUE(served.answered);
    EXPECT_EQ(served.code, ExitCode::kInternal);
  }
}

TEST(AnswerTest, ACapabilityRunsOnlyInItsOwnClass) {
  TempTree tree;
  tree.Write("a", "x");
  Request request = FsCall("fs.read", tree.path(), tree / "a");
  EXPECT_EQ(ServeCall(request, {.work_class = sandbox::WorkClass::kExec}).code,
            ExitCode::kInternal);
  request.capability = "proc.exec";
  EXPECT_EQ(ServeCall(request, {.work_class = sandbox::WorkClass::kFs}).code, ExitCode::kInternal);
  request.capability = "fs.write";
  EXPECT_EQ(ServeCall(request).code, ExitCode::kInternal);
}

}  // namespace
}  // namespace krux::runtime
