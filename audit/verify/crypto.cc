#include "audit/verify/crypto.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace krux::audit::verify {
namespace {

// One context for the life of the thread: EVP_MD_fetch costs more than hashing a small record.
EVP_MD_CTX* HashContext() {
  static thread_local std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                                 EVP_MD_CTX_free);
  return context.get();
}

Hash Sha256Of(ByteView first, ByteView second) {
  static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Hash out{};
  EVP_MD_CTX* context = HashContext();
  EVP_DigestInit_ex2(context, sha256, nullptr);
  EVP_DigestUpdate(context, first.data(), first.size());
  EVP_DigestUpdate(context, second.data(), second.size());
  EVP_DigestFinal_ex(context, out.data(), nullptr);
  return out;
}

// The reflected Castagnoli polynomial, eight bits at a time.
constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1) != 0 ? value >> 1 ^ 0x82f63b78 : value >> 1;
    table[byte] = value;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = MakeTable();

}  // namespace

Hash Sha256(ByteView bytes) { return Sha256Of(bytes, {}); }

Hash LeafHash(ByteView record) {
  constexpr uint8_t kLeaf[] = {0};
  return Sha256Of(kLeaf, record);
}

Hash Commitment(ByteView salt, std::string_view label, ByteView value) {
  std::vector<uint8_t> message(label.begin(), label.end());
  message.insert(message.end(), value.begin(), value.end());
  Hash out{};
  unsigned size = 0;
  HMAC(EVP_sha256(), salt.data(), static_cast<int>(salt.size()), message.data(), message.size(),
       out.data(), &size);
  return out;
}

uint32_t Crc32cStep(uint32_t state, uint8_t byte) {
  return state >> 8 ^ kCrcTable[(state ^ byte) & 0xff];
}

// The highest bit is the coefficient of x^0: CRC-32C is computed on reflected bits.
uint32_t Crc32cTimes(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = b >> 1 ^ ((b & 1) != 0 ? 0x82f63b78u : 0);
  }
  return product;
}

uint32_t Crc32c(ByteView first, ByteView second) {
  uint32_t crc = 0xffffffff;
  for (const ByteView part : {first, second}) {
    for (const uint8_t byte : part) crc = crc >> 8 ^ kCrcTable[(crc ^ byte) & 0xff];
  }
  return ~crc;
}

std::string Hex(ByteView bytes) {
  std::string out;
  for (const uint8_t byte : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", byte);
    out += two;
  }
  return out;
}

std::optional<PublicKey> PublicKey::FromPemFile(const std::string& path, std::string* error) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file) {
    *error = "the public key `" + path + "` cannot be read: " + std::strerror(errno);
    return std::nullopt;
  }
  std::shared_ptr<EVP_PKEY> key(PEM_read_PUBKEY(file.get(), nullptr, nullptr, nullptr),
                                EVP_PKEY_free);
  if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) {
    *error = "`" + path + "` is not an Ed25519 public key in PEM";
    return std::nullopt;
  }
  return PublicKey(std::move(key));
}

bool PublicKey::Verify(ByteView message, ByteView signature) const {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

}  // namespace krux::audit::verify
