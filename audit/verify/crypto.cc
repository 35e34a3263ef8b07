#include "audit/verify/crypto.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace krux::audit::verify {
namespace {

// One context for the life of the thread: EVP_MD_fetch costs more than hashing a small record.
EVP_MD_CTX* HashContext() {
  static thread_local std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                                 EVP_MD_CTX_free);
  return context.get();
}

Hash Sha256Of(std::initializer_list<ByteView> parts) {
  static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Hash out{};
  EVP_MD_CTX* context = HashContext();
  EVP_DigestInit_ex2(context, sha256, nullptr);
  for (const ByteView part : parts) EVP_DigestUpdate(context, part.data(), part.size());
  EVP_DigestFinal_ex(context, out.data(), nullptr);
  return out;
}

// The reflected Castagnoli polynomial: [0] eight bits at a time, [k] the same k bytes further on.
using CrcTables = std::array<std::array<uint32_t, 256>, 8>;
constexpr CrcTables MakeTables() {
  CrcTables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1) != 0 ? value >> 1 ^ 0x82f63b78 : value >> 1;
    tables[0][byte] = value;
  }
  for (size_t k = 1; k < tables.size(); ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}
constexpr CrcTables kCrc = MakeTables();

// Eight bytes a turn: they do not wait for each other.
uint32_t CrcOver(uint32_t crc, ByteView bytes) {
  while (bytes.size() >= 8) {
    uint32_t next = 0;
    for (size_t i = 0; i < 4; ++i) next ^= kCrc[7 - i][(crc >> (8 * i) & 0xff) ^ bytes[i]];
    for (size_t i = 4; i < 8; ++i) next ^= kCrc[7 - i][bytes[i]];
    crc = next;
    bytes = bytes.subspan(8);
  }
  for (const uint8_t byte : bytes) crc = crc >> 8 ^ kCrc[0][(crc ^ byte) & 0xff];
  return crc;
}

}  // namespace

Hash Sha256(ByteView bytes) { return Sha256Of({bytes}); }

Hash LeafHash(ByteView record) {
  constexpr uint8_t kLeaf[] = {0};
  return Sha256Of({kLeaf, record});
}

Hash Commitment(ByteView salt, std::string_view label, ByteView value) {
  // RFC 2104; a salt is never longer than a block. HMAC(3) would fetch its algorithm every time.
  std::array<uint8_t, 64> inner{}, outer{};
  std::ranges::copy(salt, inner.begin());
  for (size_t i = 0; i < inner.size(); ++i) {
    outer[i] = inner[i] ^ 0x5c;
    inner[i] ^= 0x36;
  }
  const ByteView text(reinterpret_cast<const uint8_t*>(label.data()), label.size());
  const Hash hash = Sha256Of({inner, text, value});
  return Sha256Of({outer, hash});
}

uint32_t Crc32cStep(uint32_t state, uint8_t byte) {
  return state >> 8 ^ kCrc[0][(state ^ byte) & 0xff];
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
  return ~CrcOver(CrcOver(0xffffffff, first), second);
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
