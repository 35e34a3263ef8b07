#include "tools/content.h"

#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/terminal.h"
#include "gateway/client/client.h"
#include "runtime/catalog.h"

namespace krux::tools {
namespace {

constexpr size_t kChunk = 64 * 1024;

std::unexpected<Error> Bad(std::string message) {
  return Fail(ExitCode::kBadData, "content", std::move(message));
}

Result<void> CheckSize(size_t bytes) {
  if (bytes <= sandbox::kMaxInputBytes) return {};
  return Bad("the content is larger than " + std::to_string(sandbox::kMaxInputBytes >> 20) +
             " MiB, the most that one call can carry; nothing was sent");
}

Result<cbor::Bytes> ReadStdin() {
  if (isatty(STDIN_FILENO) == 1) {
    return Fail(
        ExitCode::kUsage, "content",
        "--stdin reads what is redirected, and stdin is a terminal; use `< FILE` or a pipe");
  }
  cbor::Bytes all;
  for (;;) {
    const size_t held = all.size();
    all.resize(held + kChunk);
    const ssize_t got = read(STDIN_FILENO, all.data() + held, kChunk);
    all.resize(held + static_cast<size_t>(got > 0 ? got : 0));
    if (got == 0) return all;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError(ExitCode::kBadData, "read stdin", errno);
    KRUX_TRY(CheckSize(all.size()));
  }
}

}  // namespace

Result<UniqueFd> TakeContent(std::string_view capability, bool from_stdin, cbor::Map& args) {
  const runtime::Capability* known = runtime::FindCapability(capability);
  const runtime::Arg* arg = known != nullptr ? runtime::ContentOf(*known) : nullptr;
  const std::string name(arg != nullptr ? arg->name : "");
  if (from_stdin) {
    if (arg == nullptr)
      return Bad("`" + EscapeLine(capability) + "` takes nothing from stdin; see krux cap show");
    if (args.Find(name) != nullptr)
      return Bad("`" + name + "` is given twice, also by --stdin; give it once");
    const cbor::Bytes bytes = KRUX_TRY(ReadStdin());
    return gateway::SealInput(bytes);
  }
  const cbor::Value* value = arg != nullptr ? args.Find(name) : nullptr;
  if (value == nullptr) return UniqueFd();
  cbor::Bytes bytes;
  if (value->bytes() != nullptr) bytes = *value->bytes();
  if (const std::string* text = value->text()) bytes.assign(text->begin(), text->end());
  if (bytes.size() <= arg->max) return UniqueFd();
  KRUX_TRY(CheckSize(bytes.size()));
  args.Remove(name);
  return gateway::SealInput(bytes);
}

}  // namespace krux::tools
