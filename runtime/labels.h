// Labels: which files hold what a session wrote, or let a program write, after it had seen
// something. They stay with the files' paths, so a later session that reads them has seen it too.
//
//   LabelStore labels;
//   const Place work = PlaceOf("/home/ann/project");
//   cbor::Array added = labels.Add(work, "/home/ann/project/a.md", policy::kUntrustedContent,
//   false); labels.At(work, "/home/ann/project/a.md");   // kUntrustedContent, in every session
//
// A label knows its path by a hash alone, and so do the log and a kruxd that was started again. It
// is kept under the WORK it came from; a WORK inside another, or around it, sees the same labels.
//
// INVARIANT: labels only grow. What cannot be kept one by one becomes a label on everything.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cbor_value.h"
#include "policy/decide.h"

namespace krux::runtime {

// The first 16 bytes of SHA-256("krux label" 00 path), of a canonical path.
using LabelId = std::array<uint8_t, 16>;
LabelId LabelIdOf(std::string_view path);

// A WORK: its own id and those of every directory above it, "/" included. One that lies deeper than
// kMostAbove has the id of zeros alone: it counts as inside and around every other.
struct Place {
  std::string path;
  LabelId id = {};
  std::vector<LabelId> above;
};
inline constexpr size_t kMostAbove = 64;
Place PlaceOf(std::string path);

struct Label {
  LabelId id = {};            // of the path
  LabelId parent = {};        // of its directory
  policy::Exposure legs = 0;  // of kLabelLegs
  bool tree = false;          // everything beneath the path as well
  bool above = false;         // no label: the path is a directory above WORK
  bool operator==(const Label&) const = default;
};
inline constexpr policy::Exposure kLabelLegs = policy::kPrivateData | policy::kUntrustedContent;
// As in records (docs/AUDIT_FORMAT.md): id, parent, one byte of flags. The empty byte string is a
// label on everything in WORK.
inline constexpr size_t kLabelBytes = 33;
cbor::Bytes Encode(const Label& label);

class LabelStore {
 public:
  static constexpr size_t kMostLabels = 512;  // of one WORK; more become one on everything

  // What reading `path` (canonical, in WORK) brings: its own label, those of the trees around it,
  // and those of what lies directly in it, because a listing shows their names.
  policy::Exposure At(const Place& work, std::string_view path) const;
  // What a program brings that may read or move anything in WORK.
  policy::Exposure Anywhere(const Place& work) const;

  // Labels `path`; returns what the record must say, empty where the log says it already.
  cbor::Array Add(const Place& work, std::string_view path, policy::Exposure legs, bool tree);
  // What a record said, of a WORK by its id (16 bytes; zeros: of every WORK). Anything malformed is
  // a label on everything in it.
  void Restore(const cbor::Bytes& work, const cbor::Array& labels);

  // What Add returned is durable: it need not be said again. A label that never became so is heeded
  // all the same, and the next call that leaves it behind says it once more.
  void Recorded(const cbor::Bytes& work, const cbor::Array& labels);

  bool empty() const { return sets_.empty() && everywhere_ == 0; }

 private:
  struct Set {
    policy::Exposure all = 0;  // on everything
    std::map<LabelId, Label> labels;
    std::map<LabelId, policy::Exposure> children;  // by parent
    std::vector<LabelId> above;
  };
  template <typename Visit>
  void EachAround(const Place& work, Visit visit) const;
  bool Covers(const Place& work, std::string_view path, policy::Exposure legs, bool tree) const;
  static void Insert(Set& set, const Label& label);
  static void Take(std::map<LabelId, Set>& sets, const cbor::Bytes& work,
                   const cbor::Array& labels);

  std::map<LabelId, Set> sets_;      // by WORK
  std::map<LabelId, Set> recorded_;  // those of them that the log holds
  policy::Exposure everywhere_ = 0;
};

}  // namespace krux::runtime
