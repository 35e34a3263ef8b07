#include "base/digest.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace krux {

// Fetched once: EVP_sha256() is looked up again by every EVP_DigestInit_ex (crypto(7), "Implicit
// fetching"), which costs more than hashing a small record.
static const EVP_MD* Algorithm() {
  static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return sha256;
}

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  // Only out of memory can fail here, and a wrong digest must never be handed out.
  if (context_ == nullptr || Algorithm() == nullptr ||
      EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), Algorithm(), nullptr) != 1) {
    std::abort();
  }
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256Stream::Update(std::span<const uint8_t> bytes) {
  if (EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size()) != 1)
    std::abort();
}

std::vector<uint8_t> Sha256Stream::Finish() {
  std::vector<uint8_t> digest(32);
  unsigned size = 0;
  if (EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), digest.data(), &size) != 1 ||
      size != 32) {
    std::abort();
  }
  return digest;
}

std::vector<uint8_t> Sha256(std::span<const uint8_t> bytes) {
  Sha256Stream stream;
  stream.Update(bytes);
  return stream.Finish();
}

std::vector<uint8_t> Sha256(std::string_view text) {
  return Sha256(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

std::string ToHex(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const uint8_t b : bytes) {
    hex += kDigits[b >> 4];
    hex += kDigits[b & 15];
  }
  return hex;
}

}  // namespace krux
