// A gateway that ends instead of answering: the kernel tells a client whether its request was
// taken.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <functional>
#include <thread>

#include "gateway/client/client.h"

namespace krux::gateway {
namespace {

// Says hello as a gateway would, and hands out a session.
void Greet(Channel& gateway) {
  ASSERT_TRUE(gateway.Receive());
  ASSERT_TRUE(gateway.Send(Encode(HelloReply{.pid = 1, .mode = "embedded", .release = "0"})));
  ASSERT_TRUE(gateway.Receive(1));
  ASSERT_TRUE(gateway.Send(
      Encode(OpenReply{.session = cbor::Bytes(kSessionIdBytes, 7), .work = "/w", .profile = "p"})));
}

// What a call ends with when the gateway does `then` after the session was opened.
Error CallAnd(const std::function<void(Channel&)>& then) {
  auto [mine, theirs] = Channel::Pair().value();
  std::thread gateway([&theirs, &then] {
    Greet(theirs);
    then(theirs);
    theirs = Channel();
  });
  auto client = Client::Adopt(std::move(mine));
  EXPECT_TRUE(client);
  const WorkDir work{UniqueFd(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "/"};
  EXPECT_TRUE(client->Open(work));
  const auto reply = client->Call("fs.read", {{"path", "/w/a"}});
  gateway.join();
  return reply ? Error{ExitCode::kOk, 0, {}, {}} : reply.error();
}

// Waits until the request is in the queue, and leaves it there.
void AwaitUnread(Channel& gateway) {
  pollfd fd{gateway.fd(), POLLIN, 0};
  ASSERT_EQ(poll(&fd, 1, 5'000), 1);
}

TEST(LostAnswer, ARequestThatWasNeverReadWasNotTaken) {
  const Error error = CallAnd(AwaitUnread);
  EXPECT_EQ(error.code, ExitCode::kUnreachable);
  EXPECT_TRUE(WasNotTaken(error)) << error.message;
  EXPECT_FALSE(WasLost(error));
  EXPECT_NE(error.message.find("nothing ran"), std::string::npos) << error.message;
}

TEST(LostAnswer, ARequestThatWasReadIsLost) {
  const Error error = CallAnd([](Channel& gateway) { EXPECT_TRUE(gateway.Receive()); });
  EXPECT_EQ(error.code, ExitCode::kUnreachable);
  EXPECT_TRUE(WasLost(error)) << error.message;
  EXPECT_FALSE(WasNotTaken(error));
  EXPECT_NE(error.message.find("it may have run"), std::string::npos) << error.message;
}

TEST(LostAnswer, AGatewayThatSaysItIsStoppingDidNotTakeIt) {
  const Error error = CallAnd([](Channel& gateway) {
    EXPECT_TRUE(gateway.Receive());
    EXPECT_TRUE(gateway.Send(
        Encode(ErrorReply{.code = ExitCode::kUnreachable, .message = "the gateway is stopping"})));
  });
  EXPECT_TRUE(WasNotTaken(error)) << error.message;
}

}  // namespace
}  // namespace krux::gateway
