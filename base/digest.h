// SHA-256 (FIPS 180-4) and hex, through OpenSSL 3.
//
//   std::string id = ToHex(Sha256(bytes));
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace krux {

// 32 bytes.
std::vector<uint8_t> Sha256(std::span<const uint8_t> bytes);
std::vector<uint8_t> Sha256(std::string_view text);
// Lower-case hex, two digits a byte.
std::string ToHex(std::span<const uint8_t> bytes);

// SHA-256 of data that comes in pieces.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void Update(std::span<const uint8_t> bytes);
  std::vector<uint8_t> Finish();

 private:
  void* context_;  // EVP_MD_CTX
};

}  // namespace krux
