#include "runtime/labels.h"

#include <algorithm>

#include "base/digest.h"

namespace krux::runtime {
namespace {

constexpr uint8_t kAboveFlag = 0x40;
constexpr uint8_t kTreeFlag = 0x80;

std::string_view DirectoryOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : path.substr(0, slash);
}

bool Contains(const std::vector<LabelId>& ids, const LabelId& id) {
  return std::ranges::find(ids, id) != ids.end();
}

std::vector<LabelId> IdsAbove(std::string_view path) {
  std::vector<LabelId> ids;
  while (path != "/") {
    path = DirectoryOf(path);
    ids.push_back(LabelIdOf(path));
  }
  return ids;
}

policy::Exposure LegsOf(const std::map<LabelId, Label>& labels, const LabelId& id, bool as_tree) {
  const auto label = labels.find(id);
  return label == labels.end() || (as_tree && !label->second.tree) ? 0 : label->second.legs;
}

bool Decode(const cbor::Bytes& bytes, Label& label) {
  if (bytes.size() != kLabelBytes) return false;
  std::copy_n(bytes.begin(), label.id.size(), label.id.begin());
  std::copy_n(bytes.begin() + label.id.size(), label.parent.size(), label.parent.begin());
  const uint8_t flags = bytes.back();
  label.legs = flags & kLabelLegs;
  label.tree = (flags & kTreeFlag) != 0;
  label.above = (flags & kAboveFlag) != 0;
  return (flags & ~(kLabelLegs | kTreeFlag | kAboveFlag)) == 0;
}

}  // namespace

LabelId LabelIdOf(std::string_view path) {
  std::string named = "krux label";
  named += '\0';
  named += path;
  const std::vector<uint8_t> digest = Sha256(named);
  LabelId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

Place PlaceOf(std::string path) {
  Place place{std::move(path), {}, {}};
  place.id = LabelIdOf(place.path);
  place.above = IdsAbove(place.path);
  if (place.above.size() > kMostAbove) place.above = {LabelId{}};
  return place;
}

cbor::Bytes Encode(const Label& label) {
  cbor::Bytes bytes(label.id.begin(), label.id.end());
  bytes.insert(bytes.end(), label.parent.begin(), label.parent.end());
  bytes.push_back(static_cast<uint8_t>(label.legs | (label.tree ? kTreeFlag : 0) |
                                       (label.above ? kAboveFlag : 0)));
  return bytes;
}

// The labels of this WORK, of those around it and of those inside it.
template <typename Visit>
void LabelStore::EachAround(const Place& work, Visit visit) const {
  for (const auto& [id, set] : sets_) {
    if (id == work.id || Contains(work.above, id) || Contains(set.above, work.id) ||
        Contains(work.above, {}) || Contains(set.above, {}))
      visit(set);
  }
}

policy::Exposure LabelStore::At(const Place& work, std::string_view path) const {
  policy::Exposure legs = everywhere_;
  if (sets_.empty()) return legs;
  const LabelId own = LabelIdOf(path);
  const std::vector<LabelId> around = IdsAbove(path);
  EachAround(work, [&](const Set& set) {
    legs |= set.all;
    legs |= LegsOf(set.labels, own, false);
    if (const auto children = set.children.find(own); children != set.children.end())
      legs |= children->second;
    for (const LabelId& id : around) legs |= LegsOf(set.labels, id, true);
  });
  return legs;
}

// Would one more label on `path` tell the log anything new?
bool LabelStore::Covers(const Place& work, std::string_view path, policy::Exposure legs,
                        bool tree) const {
  const LabelId own = LabelIdOf(path);
  policy::Exposure known = everywhere_;
  const auto set = recorded_.find(work.id);
  if (set != recorded_.end()) {
    known |= set->second.all;
    known |= LegsOf(set->second.labels, own, tree);
    for (const LabelId& id : IdsAbove(path)) known |= LegsOf(set->second.labels, id, true);
  }
  return (legs & ~known) == 0;
}

policy::Exposure LabelStore::Anywhere(const Place& work) const {
  policy::Exposure legs = everywhere_;
  EachAround(work, [&](const Set& set) {
    legs |= set.all;
    for (const auto& [id, label] : set.labels) legs |= label.legs;
  });
  return legs;
}

void LabelStore::Insert(Set& set, const Label& label) {
  if (label.above) {
    if (!Contains(set.above, label.id)) set.above.push_back(label.id);
    return;
  }
  Label& kept = set.labels.try_emplace(label.id, label).first->second;
  // A tree's legs reach everything beneath it: what was the path's alone goes with them.
  kept.legs |= label.legs;
  kept.tree |= label.tree;
  set.children[label.parent] |= label.legs;
}

cbor::Array LabelStore::Add(const Place& work, std::string_view path, policy::Exposure legs,
                            bool tree) {
  legs &= kLabelLegs;
  if (Covers(work, path, legs, tree)) return {};
  Set& set = sets_.try_emplace(work.id).first->second;
  cbor::Array added;
  const auto add = [&](const Label& label) {
    Insert(set, label);
    added.emplace_back(Encode(label));
  };
  if (recorded_[work.id].above.empty()) {
    for (const LabelId& id : work.above) add({id, {}, 0, false, true});
  }
  const LabelId id = LabelIdOf(path);
  if (set.labels.size() < kMostLabels || set.labels.contains(id)) {
    add({id, LabelIdOf(DirectoryOf(path)), legs, tree, false});
  } else {
    set.all = kLabelLegs;
    added.emplace_back(cbor::Bytes());
  }
  return added;
}

void LabelStore::Take(std::map<LabelId, Set>& sets, const cbor::Bytes& work,
                      const cbor::Array& labels) {
  LabelId id = {};
  std::ranges::copy(work, id.begin());
  Set& set = sets.try_emplace(id).first->second;
  for (const cbor::Value& value : labels) {
    Label label;
    if (value.bytes() != nullptr && Decode(*value.bytes(), label))
      Insert(set, label);
    else
      set.all = kLabelLegs;
  }
}

void LabelStore::Restore(const cbor::Bytes& work, const cbor::Array& labels) {
  if (work.size() != LabelId{}.size() ||
      std::ranges::all_of(work, [](uint8_t byte) { return byte == 0; })) {
    everywhere_ = kLabelLegs;
    return;
  }
  Take(sets_, work, labels);
  Take(recorded_, work, labels);
}

void LabelStore::Recorded(const cbor::Bytes& work, const cbor::Array& labels) {
  if (work.size() == LabelId{}.size()) Take(recorded_, work, labels);
}

}  // namespace krux::runtime
