// Netlink messages and attributes, read with bounds: netlink(7). Everything is checked against what
// was received; a length that lies ends the walk and says so.
//
//   Attributes attrs(payload, size);
//   while (const Attribute* a = attrs.Next()) { if (a->type == NFTA_TABLE_NAME) … }
//   if (attrs.malformed()) …
#pragma once

#include <endian.h>
#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

namespace krux::sandbox {

struct Attribute {
  uint16_t type = 0;  // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
  const uint8_t* data = nullptr;
  size_t size = 0;

  // A string without its terminating NUL; empty if it holds a NUL elsewhere.
  std::string Text() const {
    const size_t length = size > 0 && data[size - 1] == 0 ? size - 1 : size;
    if (std::memchr(data, 0, length) != nullptr) return {};
    return {reinterpret_cast<const char*>(data), length};
  }
  std::optional<uint32_t> Big32() const {
    uint32_t value = 0;
    if (size != sizeof value) return std::nullopt;
    std::memcpy(&value, data, sizeof value);
    return be32toh(value);
  }
  std::optional<uint64_t> Big64() const {
    uint64_t value = 0;
    if (size != sizeof value) return std::nullopt;
    std::memcpy(&value, data, sizeof value);
    return be64toh(value);
  }
};

class Attributes {
 public:
  Attributes(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  explicit Attributes(const Attribute& nested) : Attributes(nested.data, nested.size) {}

  // The next attribute, valid until the next call; null at the end.
  const Attribute* Next() {
    if (left_ == 0) return nullptr;
    nlattr head;
    if (left_ < sizeof head) return Bad();
    std::memcpy(&head, data_, sizeof head);
    if (head.nla_len < sizeof head || head.nla_len > left_) return Bad();
    current_ = {static_cast<uint16_t>(head.nla_type & NLA_TYPE_MASK), data_ + sizeof head,
                head.nla_len - sizeof head};
    const size_t aligned = static_cast<size_t>(NLA_ALIGN(head.nla_len));
    const size_t step = aligned < left_ ? aligned : left_;  // the last one may come unpadded
    data_ += step;
    left_ -= step;
    return &current_;
  }
  bool malformed() const { return malformed_; }

 private:
  const Attribute* Bad() {
    malformed_ = true;
    left_ = 0;
    return nullptr;
  }

  const uint8_t* data_;
  size_t left_;
  Attribute current_;
  bool malformed_ = false;
};

}  // namespace krux::sandbox
