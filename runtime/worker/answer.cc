#include "runtime/worker/answer.h"

#include <cstring>

#include "base/path.h"

namespace krux::runtime {
namespace {

// What kruxd takes, in bytes. A path may be four times as long, so the middle goes: the start says
// which path, the end says what is wrong with it.
constexpr size_t kMaxMessage = 1024;
constexpr size_t kKept = 500;  // at each end

std::string Shortened(const std::string& text) {
  if (text.size() <= kMaxMessage) return text;
  const auto continues = [&](size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  size_t head = kKept, tail = text.size() - kKept;
  while (continues(head)) --head;
  while (tail < text.size() && continues(tail)) ++tail;
  return text.substr(0, head) + "…" + text.substr(tail);
}

cbor::Bytes Encode(const Answer& answer) {
  return cbor::Encode(cbor::Map{{"code", static_cast<unsigned>(ToInt(answer.code))},
                                {"data", answer.data},
                                {"limit", static_cast<unsigned>(answer.limit)},
                                {"message", Shortened(answer.message)},
                                {"truncated", answer.truncated}});
}

}  // namespace

Answer Refusal(ExitCode code, std::string message) {
  return Answer{.code = code, .message = std::move(message)};
}

Answer Refusal(const Error& error) { return Refusal(error.code, SafeText(error.message)); }

bool WriteAnswer(const sandbox::WorkerContext& context, const Answer& answer) {
  cbor::Bytes meta = Encode(answer);
  uint64_t data_bytes = answer.data_bytes;
  if (meta.size() > sandbox::kResultMetaMax || data_bytes > context.result_bytes) {
    meta = Encode(Refusal(ExitCode::kInternal, "the answer does not fit its result"));
    data_bytes = 0;
  }
  auto* header = reinterpret_cast<sandbox::ResultHeader*>(context.result_map);
  // An earlier answer counts until here; from here to the end there is none.
  __atomic_store_n(&header->magic, 0u, __ATOMIC_SEQ_CST);
  std::memcpy(context.result_map + sandbox::kResultMetaOffset, meta.data(), meta.size());
  header->meta_bytes = static_cast<uint32_t>(meta.size());
  header->data_bytes = data_bytes;
  __atomic_store_n(&header->magic, sandbox::kResultMagic, __ATOMIC_RELEASE);
  return true;
}

std::string SafeText(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    size_t size = 1;
    while (size <= 4 && size <= bytes.size() && !krux_path_is_utf8(bytes.data(), size)) ++size;
    if (size <= 4 && size <= bytes.size()) {
      text += bytes.substr(0, size);
    } else {
      constexpr char kHex[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(bytes[0]);
      text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      size = 1;
    }
    bytes.remove_prefix(size);
  }
  return text;
}

}  // namespace krux::runtime
