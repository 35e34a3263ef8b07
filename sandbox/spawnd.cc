#include "sandbox/spawnd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <list>
#include <map>

#include "base/clock.h"
#include "base/injection.h"
#include "sandbox/call.h"
#include "sandbox/spawn_wire.h"
#include "sandbox/template_check.h"
#include "sandbox/watches.h"

namespace krux::sandbox {
namespace {

constexpr size_t kMaxCalls = 256;
constexpr size_t kMaxTemplates = 128;

class Spawnd {
 public:
  Spawnd(const SpawndFlags& flags, InnerWorld inner, const Entries& entries)
      : kruxd_(UniqueFd(flags.channel_fd)),
        mountd_(UniqueFd(flags.mount_fd)),
        inner_(std::move(inner)) {
    world_.inner = &inner_;
    world_.cgroups = &cgroups_;
    world_.entry = entries.work;
    world_.landlock_abi = std::max(LandlockAbi(), 0);
    world_.rootless = flags.rootless;
    world_.hooks = flags.hooks;
    world_.hooks.host_root_fd = inner_.host_root.get();
    watch_plan_ = {entries.watch, world_.landlock_abi, flags.rootless, world_.hooks.Weak(kOneMask)};
    if (inner_.cgroup.valid()) {
      if (Result<CgroupTree> tree = CgroupTree::Open(std::move(inner_.cgroup)))
        cgroups_ = std::move(*tree);
    }
    gid_t groups[64];
    const int count = getgroups(64, groups);
    // In spawnd's eyes a foreign group has no id of its own: it shows as the overflow id, once
    // each.
    for (int i = 0; i < count; ++i) world_.groups.push_back(groups[i]);
  }

  int Run() {
    for (;;) {
      std::vector<pollfd> fds = {{kruxd_.fd(), POLLIN, 0}, {mountd_.fd(), POLLIN, 0}};
      for (const Call& call : calls_) {
        fds.push_back({call.pidfd(), POLLIN, 0});
        fds.push_back(
            {call.stage() == Call::Stage::kConfining ? call.control_fd() : -1, POLLIN, 0});
      }
      const size_t first_builder = fds.size();
      for (const TemplateBuilder& builder : builders_) fds.push_back({builder.fd(), POLLIN, 0});
      const size_t first_watch = fds.size();
      watches_.AddTo(fds);
      const int ready = poll(fds.data(), fds.size(), TimeoutMs());
      if (ready < 0 && errno != EINTR) return ToInt(ExitCode::kInternal);
      if (ready < 0) continue;
      ServeWatches(fds, first_watch);
      ServeCalls(fds);
      ServeBuilders(fds, first_builder);
      if (fds[1].revents != 0 && !ServeMountd()) return 0;
      if (fds[0].revents != 0 && !ServeKruxd()) return 0;
      EnforceDeadlines();
      RetainWatches();
      ReapWatches();
    }
  }

 private:
  struct Pending {
    wire::BuildTemplate request;
    std::string work_path;
  };
  // An event that waits until the watch of its call has looked at all that happened before it.
  struct Held {
    uint64_t watch = 0, ping = 0;
    Event event;
  };

  int TimeoutMs() const {
    uint64_t nearest = watches_.deadline_ns();
    for (const Call& call : calls_) nearest = std::min(nearest, call.deadline_ns());
    for (const TemplateBuilder& builder : builders_)
      nearest = std::min(nearest, builder.deadline_ns());
    if (nearest == UINT64_MAX) return -1;
    const uint64_t now = SystemClock().MonotonicNs();
    return nearest <= now
               ? 0
               : static_cast<int>(std::min<uint64_t>((nearest - now) / 1'000'000 + 1, 60'000));
  }

  void EnforceDeadlines() {
    const uint64_t now = SystemClock().MonotonicNs();
    for (Call& call : calls_) {
      if (call.deadline_ns() <= now) call.Expire(now);
    }
  }

  // fds[2 + 2i] and fds[3 + 2i] belong to the i-th call. What a worker said comes before its exit.
  void ServeCalls(const std::vector<pollfd>& fds) {
    size_t i = 2;
    for (auto call = calls_.begin(); call != calls_.end(); i += 2) {
      if (fds[i + 1].revents != 0) {
        // Netlink and report may both be queued.
        for (int n = 0; n < 2; ++n) {
          std::optional<Event> event = call->OnControl();
          if (event) Release(call->watch, call->ping, std::move(*event));
        }
      }
      if (fds[i].revents != 0) {
        const bool silent = call->silent();
        Event event = call->OnExit(Now());
        // What it printed is not given away before it is known that nothing secret was in sight.
        const uint64_t ping = call->watch != 0 ? watches_.Ping(call->watch, Now()) : 0;
        if (!silent) Release(call->watch, ping, std::move(event));
        call = calls_.erase(call);  // answer first, tear down after
      } else {
        ++call;
      }
    }
  }

  bool ServeKruxd() {
    Result<Packet> packet = kruxd_.Receive(1);
    if (!packet) return true;
    if (packet->eof) return false;
    Result<wire::Request> request = wire::DecodeRequest(packet->bytes);
    if (!request) {
      std::fprintf(stderr, "krux-spawnd: %s\n", request.error().message.c_str());
      return true;
    }
    if (const auto* open = std::get_if<wire::OpenWork>(&*request))
      OpenWork(*open, *packet);
    else if (auto* build = std::get_if<wire::BuildTemplate>(&*request))
      AskForMounts(std::move(*build));
    else if (const auto* drop = std::get_if<wire::DropTemplates>(&*request))
      DropTemplates(*drop);
    else if (auto* spawn = std::get_if<wire::SpawnCall>(&*request))
      StartCall(std::move(spawn->spec), std::move(packet->fds));
    else if (const auto* go = std::get_if<wire::GoCall>(&*request))
      GoCall(go->call_id);
    else
      Cancel(std::get<wire::CancelCall>(*request).call_id);
    return true;
  }

  void Release(uint64_t watch, uint64_t ping, Event event) {
    const bool waits = std::holds_alternative<Ready>(event) || std::holds_alternative<Done>(event);
    if (!waits || watch == 0 || watches_.Answered(watch, ping)) return Send(event);
    held_.push_back({watch, ping, std::move(event)});
  }

  void ServeWatches(const std::vector<pollfd>& fds, size_t first) {
    for (const Watches::Loss& loss : watches_.Serve(fds, first, Now())) LoseSecret(loss);
    for (auto held = held_.begin(); held != held_.end();) {
      if (watches_.Answered(held->watch, held->ping)) {
        Send(held->event);
        held = held_.erase(held);
      } else {
        ++held;
      }
    }
  }

  // First of all, what runs is ended.
  void LoseSecret(const Watches::Loss& loss) {
    uint64_t begun = 0;
    for (Call& call : calls_) {
      if (call.watch != loss.watch || call.stage() != Call::Stage::kRunning) continue;
      call.LoseSecret(loss.why);
      call.watch = 0;
      ++begun;
    }
    for (Held& held : held_) {
      auto* done = held.watch == loss.watch ? std::get_if<Done>(&held.event) : nullptr;
      if (done == nullptr) continue;
      done->end = Done::End::kSecretLost;
      done->note = loss.why;
      ++begun;
    }
    Send(MasksLost{loss.owner.tag, loss.owner.session_id, begun, loss.why});
    std::erase_if(templates_, [&](const Template& t) { return t.watch_id == loss.watch; });
    std::erase_if(held_, [&](const Held& held) {
      return held.watch == loss.watch && !std::holds_alternative<Done>(held.event);
    });
    for (Call& call : calls_) {
      if (call.watch != loss.watch) continue;
      call.watch = 0;
      if (!call.silent()) Send(call.Refuse({ExitCode::kBusy, 0, kStaleTemplate, loss.why}));
    }
  }

  void RetainWatches() {
    std::vector<uint64_t> used;
    for (const Template& t : templates_) used.push_back(t.watch_id);
    for (const Call& call : calls_) used.push_back(call.watch);
    for (const Held& held : held_) used.push_back(held.watch);
    watches_.Retain(used);
  }

  // The watches are children of this process, and the only ones that nobody here waits for by name.
  void ReapWatches() {
    const auto known = [this](pid_t pid) {
      return std::any_of(calls_.begin(), calls_.end(),
                         [&](const Call& call) { return call.pid() == pid; }) ||
             std::any_of(builders_.begin(), builders_.end(),
                         [&](const TemplateBuilder& builder) { return builder.pid() == pid; });
    };
    for (;;) {
      siginfo_t ended{};
      if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
      if (known(ended.si_pid)) return;
      waitid(P_PID, static_cast<id_t>(ended.si_pid), &ended, WEXITED | WNOHANG);
    }
  }

  void OpenWork(const wire::OpenWork& open, Packet& packet) {
    if (packet.fds.size() != 1) {
      return SendFailed(open.tag, {},
                        Error{ExitCode::kBadData, 0, "work", "`open_work` carries no socket"});
    }
    const int fds[] = {packet.fds[0].get()};
    (void)mountd_.Send(mountwire::EncodeRequest(mountwire::OpenWork{open.tag}), fds);
  }

  void AskForMounts(wire::BuildTemplate build) {
    const auto path = work_paths_.find(build.work_id);
    if (path == work_paths_.end()) {
      return SendFailed(build.tag, {},
                        Error{ExitCode::kNotFound, 0, "template", "work directory is not open"});
    }
    mountwire::GetMounts get{build.tag, build.work_id, build.spec.work_writable,
                             build.spec.work_exec, TreesToRequest(build.spec)};
    pending_[build.tag] = Pending{std::move(build), path->second};
    (void)mountd_.Send(mountwire::EncodeRequest(get));
  }

  bool ServeMountd() {
    Result<Packet> packet = mountd_.Receive();
    if (!packet) return true;
    if (packet->eof) return false;
    Result<mountwire::Reply> reply = mountwire::DecodeReply(packet->bytes);
    if (!reply) return true;
    if (const auto* work = std::get_if<mountwire::Work>(&*reply)) {
      // Numbers only rise, so the first is the one that mountd forgot as well.
      work_paths_[work->work_id] = work->path;
      if (work_paths_.size() > mountwire::kMaxWorks) work_paths_.erase(work_paths_.begin());
      Send(WorkOpened{work->tag, work->work_id, work->path, static_cast<uid_t>(work->uid),
                      static_cast<gid_t>(work->gid), work->device, work->inode});
    } else if (const auto* mounts = std::get_if<mountwire::Mounts>(&*reply)) {
      StartBuilder(*mounts, std::move(packet->fds));
    } else if (auto* refused = std::get_if<mountwire::Refused>(&*reply)) {
      pending_.erase(refused->tag);
      SendFailed(refused->tag, {}, std::move(refused->error));
    }
    return true;
  }

  void StartBuilder(const mountwire::Mounts& mounts, std::vector<UniqueFd> fds) {
    const auto pending = pending_.find(mounts.tag);
    if (pending == pending_.end()) return;
    const Pending build = std::move(pending->second);
    pending_.erase(pending);
    Result<TemplateBuilder> builder = TemplateBuilder::Start(build.request.spec, build.work_path,
                                                             mounts, std::move(fds), watch_plan_);
    if (!builder) return SendFailed(mounts.tag, {}, std::move(builder.error()));
    builders_.push_back(std::move(*builder));
  }

  void ServeBuilders(const std::vector<pollfd>& fds, size_t first) {
    const uint64_t now = SystemClock().MonotonicNs();
    for (auto builder = builders_.begin(); builder != builders_.end(); ++first) {
      if (fds[first].revents == 0 && builder->deadline_ns() > now) {
        ++builder;
        continue;
      }
      Result<Template> made = builder->Finish(inner_.proc.get());
      const uint64_t tag = builder->tag();
      builder = builders_.erase(builder);
      if (made) {
        KeepTemplate(tag, std::move(*made));
      } else {
        SendFailed(tag, {}, std::move(made.error()));
      }
    }
  }

  void KeepTemplate(uint64_t tag, Template made) {
    if (made.watch.valid())
      made.watch_id = watches_.Add(std::move(made.watch), {tag, made.spec.session_id});
    const Result<void> checked =
        CheckTemplateMounts(made.spec, made.work_path, made.mounts, made.masks);
    if (!checked && !world_.hooks.ignore_receipt) return SendFailed(tag, {}, checked.error());
    std::erase_if(templates_, [&](const Template& t) {
      return t.spec.session_id == made.spec.session_id &&
             t.spec.work_class == made.spec.work_class && t.spec.generation == made.spec.generation;
    });
    if (templates_.size() >= kMaxTemplates) templates_.pop_front();
    const std::string idmap = made.idmap;
    templates_.push_back(std::move(made));
    Send(TemplateBuilt{tag, idmap});
  }

  void DropTemplates(const wire::DropTemplates& drop) {
    std::erase_if(templates_, [&](const Template& t) {
      return t.spec.session_id == drop.session_id && t.spec.generation <= drop.generation;
    });
  }

  void StartCall(Spec spec, std::vector<UniqueFd> fds) {
    const cbor::Bytes id = spec.call_id;
    if (calls_.size() >= kMaxCalls || FindCall(id) != nullptr) {
      return SendFailed(0, id, Error{ExitCode::kBusy, 0, "spawn", "too many calls at once; retry"});
    }
    const auto found = std::find_if(templates_.begin(), templates_.end(), [&](const Template& t) {
      return t.spec.session_id == spec.session_id && t.spec.generation == spec.generation &&
             t.spec.work_class == spec.work_class;
    });
    if (found == templates_.end()) {
      return SendFailed(0, id,
                        Error{ExitCode::kSandbox, 0, kStaleTemplate,
                              "the session has no template of this class"});
    }
    Result<Call> call =
        Call::Start(world_, *found, std::move(spec), std::move(fds), ++call_number_);
    if (!call) return SendFailed(0, id, std::move(call.error()));
    call->watch = found->watch_id;
    if (call->watch != 0) call->ping = watches_.Ping(call->watch, Now());
    calls_.push_back(std::move(*call));
  }

  void GoCall(const cbor::Bytes& id) {
    Call* call = FindCall(id);
    if (call != nullptr) (void)call->Go(SystemClock().MonotonicNs());
  }

  void Cancel(const cbor::Bytes& id) {
    if (Call* call = FindCall(id)) call->Kill(Done::End::kCancelled);
  }

  static uint64_t Now() { return SystemClock().MonotonicNs(); }

  // One that has failed counts no more: its number may be used again.
  Call* FindCall(const cbor::Bytes& id) {
    for (Call& call : calls_) {
      if (call.id() == id && !call.silent()) return &call;
    }
    return nullptr;
  }

  void SendFailed(uint64_t tag, const cbor::Bytes& call_id, Error error) {
    const std::string layer = LayerFromName(error.stage) ? error.stage : "";
    Send(Failed{tag, call_id, std::move(error), layer, {}});
  }

  void Send(const Event& event) {
    int fd = -1;
    if (const auto* ready = std::get_if<Ready>(&event)) fd = ready->pidfd.get();
    if (const auto* done = std::get_if<Done>(&event)) fd = done->result.get();
    const std::span<const int> fds =
        fd >= 0 ? std::span<const int>(&fd, 1) : std::span<const int>();
    (void)kruxd_.Send(wire::EncodeEvent(event),
                      fds);  // kruxd gone: its end of file ends this process
  }

  Channel kruxd_;
  Channel mountd_;
  InnerWorld inner_;
  CgroupTree cgroups_;
  CallWorld world_;
  std::map<uint64_t, std::string> work_paths_;
  std::map<uint64_t, Pending> pending_;
  std::list<TemplateBuilder> builders_;
  std::list<Template> templates_;
  std::list<Call> calls_;
  WatchPlan watch_plan_;
  Watches watches_;
  std::list<Held> held_;
  uint64_t call_number_ = 0;
};

}  // namespace

int RunSpawnd(int argc, char** argv, const Entries& entries) {
  const SpawndFlags flags = ParseSpawndFlags(argc, argv);
  if (flags.channel_fd < 0 || flags.mount_fd < 0) {
    std::fputs("krux-spawnd: started by `krux gateway`, not by hand\n", stderr);
    return ToInt(ExitCode::kUsage);
  }
  if (!flags.inner) return RunOuter(flags, argv);
  const auto fail = [](const Error& error) {
    std::fprintf(stderr, "krux-spawnd: %s\n", error.message.c_str());
    return ToInt(ExitCode::kSandbox);
  };
  injection::TakeFlags(&argc, argv);
  Result<InnerWorld> inner = EnterInner(flags);
  if (!inner) return fail(inner.error());
  if (const Result<void> confined = ConfineInner(flags, *inner); !confined)
    return fail(confined.error());
  injection::Run();
  return Spawnd(flags, std::move(*inner), entries).Run();
}

}  // namespace krux::sandbox
