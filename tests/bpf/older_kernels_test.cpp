// What Linux 6.1 asks of the programs beyond the kernel that runs here. ./run test-kernels shows
// them to 6.1 itself; this is the part that can be seen anywhere, with every run of the tests.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace sluice::test {

namespace {

/// A program as the kernel gets it: all its functions, one behind the other.
struct Program {
  std::string name;
  std::vector<bpf_insn> code;
  std::vector<std::size_t> functions;  ///< where each begins
  std::vector<std::size_t> stack;      ///< bytes of each, as the verifier counted them

  bool calls(std::size_t at) const {
    return code[at].code == (BPF_JMP | BPF_CALL) && code[at].src_reg == BPF_PSEUDO_CALL;
  }
  std::size_t callee(std::size_t at) const {
    return at + 1 + static_cast<std::size_t>(std::ptrdiff_t{code[at].imm});
  }
};

/// The numbers of "stack depth 152+0+24".
std::vector<std::size_t> stack_depths(const std::string& log) {
  static const std::string words = "stack depth ";
  std::vector<std::size_t> depths;
  const auto at = log.find(words);
  std::istringstream text(at == std::string::npos ? "" : log.substr(at + words.size()));
  for (std::size_t depth; text >> depth; text.get())
    depths.push_back(depth);
  return depths;
}

std::vector<Program> load(const std::string& path) {
  constexpr std::uint32_t statistics = 4;  // BPF_LOG_STATS, kernel/bpf/verifier.c
  const std::unique_ptr<bpf_object, void (*)(bpf_object*)> object(
      bpf_object__open_file(path.c_str(), nullptr), bpf_object__close);
  std::map<bpf_program*, std::vector<char>> logs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get()) {
    logs[program].resize(1 << 16);
    bpf_program__set_log_level(program, statistics);
    bpf_program__set_log_buf(program, logs[program].data(), logs[program].size());
  }
  EXPECT_EQ(bpf_object__load(object.get()), 0) << "the kernel refuses " << path;
  std::vector<Program> programs;
  for (const auto& [loaded, log] : logs) {
    Program found{
        .name = path + " " + bpf_program__name(loaded), .code = {}, .functions = {}, .stack = {}};
    const auto* code = bpf_program__insns(loaded);
    found.code.assign(code, code + bpf_program__insn_cnt(loaded));
    std::set<std::size_t> functions{0};
    for (std::size_t at = 0; at < found.code.size(); at++)
      if (found.calls(at))
        functions.insert(found.callee(at));
    found.functions.assign(functions.begin(), functions.end());
    found.stack = stack_depths(log.data());
    programs.push_back(std::move(found));
  }
  return programs;
}

std::vector<Program> all_programs() {
  std::vector<Program> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SLUICE_BPF_OBJECTS))
    if (entry.path().string().ends_with(".bpf.o"))
      std::ranges::move(load(entry.path().string()), std::back_inserter(all));
  return all;
}

/// Where a loop is closed by running on into its head, after the instructions before `head`;
/// check_cfg of Linux 6.1 lets only jumps close one. It goes to what follows before it goes where a
/// jump leads, which decides what it takes for the head.
std::vector<std::size_t> loops_without_jump(const Program& program) {
  struct Edge {
    std::size_t to;
    bool jump;
  };
  const auto edges = [&program](std::size_t at) -> std::vector<Edge> {
    const auto& code = program.code[at];
    const auto type = BPF_CLASS(code.code), operation = BPF_OP(code.code);
    const auto target = at + 1 + static_cast<std::size_t>(std::ptrdiff_t{code.off});
    if ((type != BPF_JMP && type != BPF_JMP32) || operation == BPF_CALL)
      return {{at + 1, false}};
    if (operation == BPF_EXIT)
      return {};
    if (operation == BPF_JA)
      return {{target, true}};
    return {{at + 1, true}, {target, true}};
  };
  enum class State : std::uint8_t { unseen, open, done };
  struct Step {
    std::size_t at, next;  ///< instruction, and which of its edges is looked at next
  };
  std::vector<State> states(program.code.size(), State::unseen);
  std::vector<std::size_t> heads;
  for (const auto function : program.functions) {
    std::vector<Step> way{{function, 0}};
    states[function] = State::open;
    while (!way.empty()) {
      const auto at = way.back().at;
      const auto next = way.back().next++;
      const auto out = edges(at);
      if (next == out.size()) {
        states[at] = State::done;
        way.pop_back();
        continue;
      }
      auto& state = states.at(out[next].to);
      if (state == State::open && !out[next].jump)
        heads.push_back(out[next].to);
      if (state == State::unseen) {
        state = State::open;
        way.push_back({out[next].to, 0});
      }
    }
  }
  return heads;
}

/// The deepest stack over a chain of calls, where each function takes a multiple of 32 bytes and at
/// least as many.
std::size_t deepest_stack(const Program& program) {
  std::map<std::size_t, std::size_t> known;
  const std::function<std::size_t(std::size_t)> below = [&](std::size_t index) {
    if (const auto at = known.find(index); at != known.end())
      return at->second;
    const auto end =
        index + 1 < program.functions.size() ? program.functions[index + 1] : program.code.size();
    std::size_t deepest = 0;
    for (auto at = program.functions[index]; at < end; at++)
      if (program.calls(at)) {
        const auto callee = std::ranges::lower_bound(program.functions, program.callee(at));
        deepest =
            std::max(deepest, below(static_cast<std::size_t>(callee - program.functions.begin())));
      }
    return known[index] = (std::max<std::size_t>(program.stack[index], 1) + 31) / 32 * 32 + deepest;
  };
  return below(0);
}

}  // namespace

TEST(Linux61, LoopsAreClosedByJumps) {
  for (const auto& program : all_programs())
    EXPECT_EQ(loops_without_jump(program), std::vector<std::size_t>{})
        << program.name << ": the instructions that Linux 6.1 will name in \"back-edge from insn\"";
}

TEST(Linux61, CallsFitTheStack) {
  for (const auto& program : all_programs()) {
    ASSERT_EQ(program.stack.size(), program.functions.size()) << program.name;
    EXPECT_LE(deepest_stack(program), 512u)
        << program.name << ": \"combined stack size of … calls\"";
  }
}

}  // namespace sluice::test
