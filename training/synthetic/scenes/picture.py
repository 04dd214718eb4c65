"""Renderer of posed people before the image of a room: OpenGL without a screen, in software if needed."""

from __future__ import annotations

import moderngl
import numpy as np

from training.synthetic.scenes.camera_model import Camera, Light, Mesh, sun_view
from training.synthetic.scenes.hands import Array

SHADOW = 512  # size of the shadow map, px
VERTEX = """
#version 330
uniform mat4 camera; uniform mat4 sun_view;
in vec3 position; in vec3 normal; in vec3 tone; in vec3 rest; in vec2 matter;
out vec3 n; out vec3 colour; out vec3 cloth; out vec3 at; out vec2 kind; out vec3 shadow;
void main() {
  n = normal; colour = tone; cloth = rest; at = position; kind = matter;
  shadow = (sun_view * vec4(position, 1.0)).xyz * 0.5 + 0.5;
  gl_Position = camera * vec4(position, 1.0);
}
"""
FRAGMENT = """
#version 330
uniform vec3 sun; uniform vec3 sun_colour; uniform vec3 fill; uniform vec3 fill_colour; uniform vec3 sky;
uniform vec3 ground; uniform vec3 eye; uniform vec4 weave; uniform sampler2DShadow shadows;
in vec3 n; in vec3 colour; in vec3 cloth; in vec3 at; in vec2 kind; in vec3 shadow;
out vec4 pixel;
void main() {
  vec3 m = normalize(n), view = normalize(eye - at), base = colour;
  float gloss = 0.02, soft = 0.2;
  if (kind.x < 0.5) { gloss = 0.16; soft = 0.35; }  // skin
  else if (kind.x < 1.5 && weave.x > 0.0) {
    base = mix(base, weave.yzw, step(0.5, fract(cloth.z * weave.x)));
  }
  else if (kind.x > 2.5 && kind.x < 5.5) gloss = 0.07;  // hair, eyes, shoes
  else if (kind.x > 5.5) base *= 1.0 + 0.3 * kind.y * sin(cloth.y * 190.0 + 3.0 * sin(cloth.x * 5.0));
  float lit = texture(shadows, shadow - vec3(0.0, 0.0, 0.006));
  float a = clamp((dot(m, sun) + soft) / (1.0 + soft), 0.0, 1.0);
  float b = clamp((dot(m, fill) + 0.5) / 1.5, 0.0, 1.0);
  vec3 light = mix(ground, sky, m.z * 0.5 + 0.5) + fill_colour * b;
  vec3 key = sun_colour * a * mix(0.06, 1.0, lit);
  if (kind.x < 0.5) key *= mix(vec3(1.25, 0.85, 0.75), vec3(1.0), smoothstep(0.0, 0.5, a * lit));
  float shine = gloss * pow(clamp(dot(m, normalize(sun + view)), 0.0, 1.0), 20.0) * lit;
  float rim = 1.0 - 0.3 * pow(1.0 - clamp(dot(m, view), 0.0, 1.0), 2.0);
  pixel = vec4(pow(clamp(base * (light + key) * rim + shine * sun_colour, 0.0, 1.0), vec3(0.4545)), 1.0);
}
"""
DEPTH = """
#version 330
uniform mat4 sun_view; in vec3 position;
void main() { gl_Position = sun_view * vec4(position, 1.0); }
"""


class _Drawn:
    """A mesh in GPU memory; positions and normals change, the rest does not."""

    def __init__(self, gl: moderngl.Context, programs: list[moderngl.Program], mesh: Mesh) -> None:
        count = len(mesh.rest)
        still = np.concatenate([mesh.colour, mesh.rest, mesh.matter], axis=1).astype("f4")
        self._still = gl.buffer(still.tobytes())
        self._moving = gl.buffer(reserve=count * 24, dynamic=True)
        self._index = gl.buffer(mesh.triangles.astype("i4").tobytes())
        moving = (self._moving, "3f 3f", "position", "normal")
        kept = (self._still, "3f 3f 2f", "tone", "rest", "matter")
        shadow = (self._moving, "3f 12x", "position")
        self.picture = gl.vertex_array(programs[0], [moving, kept], self._index)
        self.shadow = gl.vertex_array(programs[1], [shadow], self._index)

    def move(self, positions: Array, normals: Array) -> None:
        self._moving.write(np.concatenate([positions, normals], axis=1).astype("f4").tobytes())

    def release(self) -> None:
        for thing in (self.picture, self.shadow, self._still, self._moving, self._index):
            thing.release()


class Painter:
    """Renders images of the same meshes before the same room."""

    def __init__(self, width: int = 640, height: int = 480, samples: int = 0) -> None:
        """Create the OpenGL context. `samples` a pixel smooth edges at three times the cost.

        Raises an exception of moderngl or glcontext where there is no OpenGL through EGL.
        """
        self.size = (width, height)
        self._gl = gl = moderngl.create_standalone_context(backend="egl")
        samples = min(samples, gl.max_samples)
        self._drawn = gl.framebuffer(
            gl.renderbuffer(self.size, 4, samples=samples), gl.depth_renderbuffer(self.size, samples=samples)
        )
        self._plain = gl.framebuffer(gl.renderbuffer(self.size, 4)) if samples else self._drawn
        self._shadows = gl.depth_texture((SHADOW, SHADOW))
        self._shadows.compare_func = "<="
        self._shadows.repeat_x = self._shadows.repeat_y = False
        self._dark = gl.framebuffer(depth_attachment=self._shadows)
        self._programs = [
            gl.program(VERTEX, FRAGMENT),
            gl.program(DEPTH, "#version 330\nvoid main() {}"),
        ]
        self._plate = gl.framebuffer(gl.renderbuffer(self.size, 4, samples=samples))
        self._staged = False
        self._meshes: list[_Drawn] = []

    def stage(
        self, plate: Array, camera: Camera, light: Light, meshes: list[Mesh], weave: tuple[float, ...],
        middle: tuple[float, ...] = (0.0, 0.0, 1.0),
    ) -> None:  # fmt: skip
        """Set a scene. `plate` is uint8 (height, width, 3), RGB; `weave` stripes a metre and their colour.

        Shadows fall up to 1.5 m around `middle`.
        """
        for drawn in self._meshes:
            drawn.release()
        upside = np.dstack([plate, np.full(plate.shape[:2], 255, np.uint8)])[::-1]
        texture = self._gl.texture(self.size, 4, np.ascontiguousarray(upside).tobytes())
        self._gl.copy_framebuffer(self._plate, self._gl.framebuffer(texture))
        texture.release()
        self._staged = True
        self._meshes = [_Drawn(self._gl, self._programs, mesh) for mesh in meshes]
        p, shadow = self._programs
        for name, value in vars(light).items():
            p[name].value = value
        p["eye"].value, p["weave"].value = camera.at, weave
        p["camera"].write(camera.matrix(self.size[0] / self.size[1]).T.astype("f4").tobytes())
        sunlight = sun_view(light.sun, np.array(middle)).T.astype("f4").tobytes()
        p["sun_view"].write(sunlight)
        shadow["sun_view"].write(sunlight)

    def draw(self, moved: list[tuple[Array, Array] | None]) -> Array:
        """Render uint8 (height, width, 3) RGB; positions and normals of each mesh, None where absent."""
        if not self._staged:
            raise RuntimeError("no scene yet: call stage first")
        gl, shown = self._gl, []
        for drawn, place in zip(self._meshes, moved, strict=True):
            if place is not None:
                drawn.move(*place)
                shown.append(drawn)
        gl.enable(moderngl.DEPTH_TEST)
        gl.enable(moderngl.CULL_FACE)  # render back faces into the shadow map too
        self._dark.use()
        self._dark.clear()
        for drawn in shown:
            drawn.shadow.render()
        gl.disable(moderngl.CULL_FACE)
        self._drawn.clear(depth=1.0)
        gl.copy_framebuffer(self._drawn, self._plate)
        self._drawn.use()
        self._shadows.on_rules(1)
        self._programs[0]["shadows"].value = 1
        for drawn in shown:
            drawn.picture.render()
        if self._plain is not self._drawn:
            gl.copy_framebuffer(self._plain, self._drawn)
        raw = np.frombuffer(self._plain.read(components=3, alignment=1), np.uint8)
        return raw.reshape(self.size[1], self.size[0], 3)[::-1]
