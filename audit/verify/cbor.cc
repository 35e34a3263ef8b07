#include "audit/verify/cbor.h"

#include <algorithm>

namespace krux::audit::verify {
namespace {

struct Head {
  int major = -1;
  int info = 0;
  uint64_t value = 0;
  size_t size = 0;  // bytes of the head; 0: cut off
};

Head ReadHead(ByteView in) {
  Head head;
  if (in.empty()) return head;
  head.major = in[0] >> 5;
  head.info = in[0] & 0x1f;
  size_t more = 0;
  if (head.info < 24) {
    head.value = static_cast<uint64_t>(head.info);
  } else if (head.info < 28) {
    more = size_t{1} << (head.info - 24);
  }
  if (in.size() < 1 + more) return head;
  for (size_t i = 1; i <= more; ++i) head.value = (head.value << 8) + in[i];
  head.size = 1 + more;
  return head;
}

bool IsShortest(const Head& head) {
  switch (head.info) {
    case 24:
      return head.value >= 24;
    case 25:
      return head.value >= 0x100;
    case 26:
      return head.value >= 0x10000;
    case 27:
      return head.value >= 0x100000000;
    default:
      return true;
  }
}

// Decodes code points one by one and asks whether each was written in its shortest form and is one.
bool IsUtf8(ByteView text) {
  for (size_t i = 0; i < text.size();) {
    const unsigned lead = text[i];
    const int length = lead < 0x80       ? 1
                       : lead >> 5 == 6  ? 2
                       : lead >> 4 == 14 ? 3
                       : lead >> 3 == 30 ? 4
                                         : 0;
    if (length == 0 || i + static_cast<size_t>(length) > text.size()) return false;
    uint32_t point = length == 1 ? lead : lead & (0x7fu >> length);
    for (int k = 1; k < length; ++k) {
      const unsigned next = text[i + static_cast<size_t>(k)];
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3f);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kLeast[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      return false;
    }
    i += static_cast<size_t>(length);
  }
  return true;
}

const char* Judge(ByteView* in, int depth);

const char* JudgePairs(ByteView* in, uint64_t pairs, int depth) {
  ByteView previous;
  for (uint64_t i = 0; i < pairs; ++i) {
    const ByteView before = *in;
    if (const char* fault = Judge(in, depth)) return fault;
    const ByteView key = before.first(before.size() - in->size());
    if (i > 0 && !std::ranges::lexicographical_compare(previous, key)) {
      return "map keys are not sorted or a key is there twice";
    }
    previous = key;
    if (const char* fault = Judge(in, depth)) return fault;
  }
  return nullptr;
}

// Judges the item at the start of `in` and steps over it. `depth` levels may still be opened.
const char* Judge(ByteView* in, int depth) {
  const Head head = ReadHead(*in);
  if (head.size == 0) return "an item is cut off";
  if (head.info > 27) return "an indefinite length or a reserved head";
  if (!IsShortest(head)) return "a number is not in its shortest form";
  *in = in->subspan(head.size);
  switch (head.major) {
    case 0:
    case 1:
      return nullptr;
    case 2:
    case 3: {
      if (head.value > in->size()) return "a string is cut off";
      const ByteView content = in->first(static_cast<size_t>(head.value));
      *in = in->subspan(content.size());
      return head.major == 3 && !IsUtf8(content) ? "text is not UTF-8" : nullptr;
    }
    case 4:
      if (depth == 0) return "it is nested too deeply";
      if (head.value > in->size()) return "an array is cut off";
      for (uint64_t i = 0; i < head.value; ++i) {
        if (const char* fault = Judge(in, depth - 1)) return fault;
      }
      return nullptr;
    case 5:
      if (depth == 0) return "it is nested too deeply";
      if (head.value > in->size() / 2) return "a map is cut off";
      return JudgePairs(in, head.value, depth - 1);
    case 7:
      return head.info >= 20 && head.info <= 22 ? nullptr : "a float or simple value";
    default:
      return "a tag";
  }
}

}  // namespace

const char* StrictFault(ByteView bytes) {
  if (const char* fault = Judge(&bytes, kMaxDepth)) return fault;
  return bytes.empty() ? nullptr : "bytes follow the item";
}

Type Cursor::Next() const {
  const Head head = ReadHead(rest_);
  if (head.size == 0) return Type::kNone;
  switch (head.major) {
    case 0:
      return Type::kUint;
    case 1:
      return Type::kNegative;
    case 2:
      return Type::kBytes;
    case 3:
      return Type::kText;
    case 4:
      return Type::kArray;
    case 5:
      return Type::kMap;
    case 7:
      return head.info == 20 ? Type::kFalse : head.info == 21 ? Type::kTrue : Type::kNull;
    default:
      return Type::kNone;
  }
}

uint64_t Cursor::Take(Type type) {
  if (!ok_ || Next() != type) {
    ok_ = false;
    return 0;
  }
  const Head head = ReadHead(rest_);
  rest_ = rest_.subspan(head.size);
  return head.value;
}

uint64_t Cursor::Uint() { return Take(Type::kUint); }

ByteView Cursor::Bytes() {
  const uint64_t size = Take(Type::kBytes);
  const ByteView content = rest_.first(std::min<uint64_t>(size, rest_.size()));
  rest_ = rest_.subspan(content.size());
  return content;
}

std::string_view Cursor::Text() {
  const uint64_t size = Take(Type::kText);
  const ByteView content = rest_.first(std::min<uint64_t>(size, rest_.size()));
  rest_ = rest_.subspan(content.size());
  return {reinterpret_cast<const char*>(content.data()), content.size()};
}

uint64_t Cursor::Array() { return Take(Type::kArray); }

uint64_t Cursor::Map() { return Take(Type::kMap); }

ByteView Cursor::Skip() {
  const ByteView before = rest_;
  if (!ok_ || Judge(&rest_, kMaxDepth) != nullptr) {
    ok_ = false;
    return {};
  }
  return before.first(before.size() - rest_.size());
}

}  // namespace krux::audit::verify
