// Problems, plans and single objects as text.
#include <algorithm>

#include "cli/format.hpp"
#include "cli/render.hpp"

namespace sluice::cli {

namespace {

bool is_plain(const boost::json::value& value) {
  return !value.is_object() && !value.is_array();
}

void write_json(const boost::json::value& value, const std::string& indent, std::string& out) {
  const std::string deeper = indent + "  ";
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    out += "{\n";
    std::size_t left = object->size();
    for (const auto& member : *object) {
      out += deeper + boost::json::serialize(boost::json::value(member.key())) + ": ";
      write_json(member.value(), deeper, out);
      out += --left == 0 ? "\n" : ",\n";
    }
    out += indent + "}";
    return;
  }
  const auto* array = value.if_array();
  if (array == nullptr || array->empty()) {
    out += boost::json::serialize(value);
    return;
  }
  const bool flat = array->size() <= 8 && std::ranges::all_of(*array, is_plain);
  out += flat ? "[" : "[\n";
  std::size_t left = array->size();
  for (const auto& element : *array) {
    if (!flat)
      out += deeper;
    write_json(element, deeper, out);
    if (--left != 0)
      out += flat ? ", " : ",\n";
  }
  out += flat ? "]" : "\n" + indent + "]";
}

std::string render_effects(View effects, bool colour) {
  Table table{"  POOL", ">SLOTS", ">MOVE", ">SHARE", ">UNAVOIDABLE", ">SHARE", ">KEEP OLD"};
  for (const View effect : effects.items()) {
    const auto slots = effect["slots"].number();
    const auto moved = effect["moved"].number();
    const auto unavoidable = effect["unavoidable"].number();
    const auto share = [&](std::uint64_t part) {
      return slots == 0 ? "-" : format_share(static_cast<double>(part), static_cast<double>(slots));
    };
    table.add({"  " + effect["pool"].text(),
               slots == 0 ? Cell("none", Tone::warning) : Cell(std::to_string(slots)),
               std::to_string(moved), share(moved), std::to_string(unavoidable), share(unavoidable),
               std::to_string(effect["learning"].number())});
  }
  return table.empty() ? ""
                       : paint("slots that change hands", Tone::heading, colour) + "\n" +
                             table.render(colour);
}

std::string render_warnings(View warnings, bool colour) {
  std::string text;
  for (const View warning : warnings.items())
    text += render_fault(warning["pointer"].text(), warning["message"].text(),
                         warning["suggestion"].text());
  return text.empty() ? "" : paint("warnings", Tone::warning, colour) + "\n" + text;
}

}  // namespace

std::string render_fault(std::string_view pointer, std::string_view message,
                         std::string_view suggestion) {
  std::string text = "  ";
  if (!pointer.empty())
    text += printable(pointer) + ": ";
  text += printable(message) + "\n";
  if (!suggestion.empty())
    text += "      " + printable(suggestion) + "\n";
  return text;
}

std::string render_problem(View problem, unsigned status) {
  auto message = problem["detail"].text();
  if (message.empty())
    message = problem["title"].text();
  if (message.empty())
    message = "the daemon answered with status " + std::to_string(status);
  std::string text = "sluicectl: " + printable(message) + "\n";
  for (const View fault : problem["errors"].items())
    text +=
        render_fault(fault["pointer"].text(), fault["message"].text(), fault["suggestion"].text());
  if (const auto id = problem["requestId"].text(); status >= 500 && !id.empty())
    text += "  the daemon's log says more under the request id " + printable(id) + "\n";
  return text;
}

std::string render_plan(View plan, bool colour) {
  std::string text;
  if (const auto& steps = plan["steps"].items(); steps.empty()) {
    text = "nothing to do\n";
  } else {
    text = paint(plural(steps.size(), "step"), Tone::heading, colour) + "\n";
    std::size_t number = 0;
    for (const View step : steps)
      text += "  " + std::to_string(++number) + ". " + printable(step.text()) + "\n";
  }
  return text + render_effects(plan["effects"], colour) + render_warnings(plan["warnings"], colour);
}

std::string render_change(View reply, bool dry_run, bool colour) {
  const View plan = reply["plan"];
  const auto generation = reply["generation"].text();
  if (dry_run)
    return render_plan(plan, colour) + "dry run: generation " + generation + " goes on unchanged\n";
  if (!reply["applied"].flag())
    return "generation " + generation + " goes on unchanged\n" + render_plan(plan, colour);
  const auto steps = plan["steps"].items().size();
  return paint("generation " + generation + " is running", Tone::good, colour) + ": " +
         (steps == 0 ? "the data plane had nothing to change" : plural(steps, "step") + " done") +
         "\n" + render_effects(plan["effects"], colour) + render_warnings(plan["warnings"], colour);
}

std::string render_program_change(View reply, bool dry_run, bool colour) {
  const View plan = reply["plan"];
  if (dry_run)
    return render_plan(plan, colour) + "dry run: nothing was changed\n";
  std::string text = paint("done", Tone::good, colour) + "\n";
  for (const View step : plan["steps"].items())
    text += "  " + printable(step.text()) + "\n";
  return text;
}

std::string render_details(View object, bool colour) {
  const auto members = object.members();
  std::size_t widest = 0;
  for (const auto& [name, value] : members)
    widest = std::max(widest, name.size());
  std::string text;
  for (const auto& [name, value] : members) {
    const std::string label = printable(name) + std::string(widest - name.size(), ' ');
    const std::string shown =
        value.is_string() ? std::string(value.get_string()) : boost::json::serialize(value);
    text += paint(label, Tone::heading, colour) + "  " + printable(shown) + "\n";
  }
  return text;
}

std::string render_json(const boost::json::value& value) {
  std::string text;
  write_json(value, "", text);
  return text + "\n";
}

}  // namespace sluice::cli
