# ruby settings.rb VAGRANTFILE PROVIDER: what the Vagrantfile asks of this provider, as JSON. For providers that are not to be had here:
# Vagrant itself leaves out the settings of one that it does not know.
require "json"

class Recorder
  def initialize = @seen = {}
  def to_json(*) = @seen.to_json
  def respond_to_missing?(*) = true

  # `v.memory = 1` and `v.vmx["memsize"] = 1` are kept by name, calls with words by name and first word, the last one wins.
  def method_missing(name, *words, **options)
    return @seen[name == :[]= ? words.first : name.to_s.chomp("=")] = words.last if name.end_with?("=")
    return @seen[name.to_s] ||= Recorder.new if words.empty? && options.empty?

    (@seen[name.to_s] ||= {})[words.first.to_s] = words.drop(1) + [options]
  end

  def provider(name)
    yield @seen["asked"] ||= Recorder.new, TOP if name.to_s == ARGV[1]
  end
end

TOP = Recorder.new
module Vagrant
  VERSION = ENV.fetch("PRETENDED_VERSION", "2.4.9")
  def self.configure(_version) = yield(TOP)
end

load ARGV[0]
puts TOP.to_json
