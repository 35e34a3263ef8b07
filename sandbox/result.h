// Layout of the result memfd. spawnd makes it before the worker at its full size (F_SEAL_GROW and
// F_SEAL_SHRINK from the start), the worker fills it, spawnd seals it (F_SEAL_WRITE) when the
// worker is gone. Readers take the header as hostile.
#pragma once

#include <array>
#include <cstdint>

namespace krux::sandbox {

// The limits of a call, by the number and the name under which results and records know them. The
// worker reports those that it alone sees a program reach ("limit" of the meta map).
enum class Limit : uint8_t {
  kNone,
  kWall,      // Limits::wall_ms
  kCpu,       // Limits::cpu_seconds, of one process
  kMemory,    // Limits::memory_bytes
  kPids,      // Limits::pids
  kOutput,    // Limits::result_bytes
  kFileSize,  // Limits::file_bytes
  kTmpBytes,  // TemplateSpec::tmp_bytes
  kTmpFiles,  // TemplateSpec::tmp_inodes
};
inline constexpr std::array kLimitNames = {"",       "wall",      "cpu",       "memory",   "pids",
                                           "output", "file_size", "tmp_bytes", "tmp_files"};
constexpr const char* Name(Limit limit) { return kLimitNames[static_cast<size_t>(limit)]; }

struct ResultHeader {   // little-endian, at offset 0
  uint32_t magic;       // kResultMagic; 0 = the worker never answered
  uint32_t meta_bytes;  // CBOR at kResultMetaOffset, ≤ kResultMetaMax
  uint64_t data_bytes;  // at kResultDataOffset, ≤ Limits::result_bytes
};
inline constexpr uint32_t kResultMagic = 0x7578726b;  // "krux"
inline constexpr uint64_t kResultMetaOffset = 64;
inline constexpr uint64_t kResultMetaMax = 60 * 1024;
inline constexpr uint64_t kResultDataOffset = 64 * 1024;

}  // namespace krux::sandbox
