// The functions of C99's math.h that neither zig's compiler_rt nor its copy of musl has, for chips without a C library.
const std = @import("std");
const math = std.math;

pub const panic = std.debug.no_panic; // without it the panic handler drags in code that no function here can reach

comptime {
    for (.{ "acos", "atan", "acosh", "cbrt", "cosh", "log1p", "tanh" }) |name| {
        exportUnary(f32, name ++ "f", @field(math, name));
        exportUnary(f64, name, @field(math, name));
    }
    exportUnary(f64, "asin", math.asin);
    for (.{ "rint", "nearbyint", "roundeven" }) |name| {
        exportUnary(f32, name ++ "f", nearest);
        exportUnary(f64, name, nearest);
    }
    for (.{ "copysign", "hypot" }) |name| {
        exportBinary(f32, name ++ "f", @field(math, name));
        exportBinary(f64, name, @field(math, name));
    }
}

fn exportUnary(comptime T: type, comptime name: []const u8, comptime function: anytype) void {
    const wrapper = struct {
        fn call(x: T) callconv(.c) T {
            return function(x);
        }
    };
    @export(&wrapper.call, .{ .name = name, .linkage = .weak });
}

fn exportBinary(comptime T: type, comptime name: []const u8, comptime function: anytype) void {
    const wrapper = struct {
        fn call(x: T, y: T) callconv(.c) T {
            return function(x, y);
        }
    };
    @export(&wrapper.call, .{ .name = name, .linkage = .weak });
}

// Ties go to even: chips start with that rounding mode, and kernels never change it.
fn nearest(x: anytype) @TypeOf(x) {
    const whole = 1.0 / math.floatEps(@TypeOf(x)); // from here on every float is a whole number
    const size = @abs(x);
    return if (size < whole) math.copysign(size + whole - whole, x) else x;
}
