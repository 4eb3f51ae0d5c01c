#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""page.py WEBSERVER [SCREENSHOT]: opens the page of the example web server in a headless Chromium.

Checks that it loads without errors, that the button starts the load, that the curves move, that the
peer's curves are there, that nothing overflows a narrow window, that the text has enough contrast,
and that the page says so when the server has ended. Leaves a screenshot. Needs python3-selenium,
chromium and chromium-driver.
"""
import os
import re
import signal
import subprocess
import sys
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

# Relative luminance and contrast as WCAG 2 defines them, of each element that has text of its own.
LOW_CONTRAST = """
const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const luminance = text => {
	const [r, g, b] = text.match(/[\\d.]+/g).map(Number);
	return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
};
const behind = element => {
	for (let at = element; at; at = at.parentElement) {
		const colour = getComputedStyle(at).backgroundColor;
		if (!/rgba\\(0, 0, 0, 0\\)|transparent/.test(colour)) return colour;
	}
	return 'rgb(255, 255, 255)';
};
const low = [];
for (const element of document.querySelectorAll('main *')) {
	const texts = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
	if (!texts || element.closest('noscript') || element.disabled) continue;
	const style = getComputedStyle(element), inSvg = element instanceof SVGElement;
	const [a, b] = [luminance(inSvg ? style.fill : style.color), luminance(behind(element))].sort((x, y) => y - x);
	if ((a + 0.05) / (b + 0.05) < 4.5) low.push(element.textContent.trim());
}
return low;
"""

number = 0


def check(what, passed, detail=''):
    global number
    number += 1
    print(f"{'ok' if passed else 'not ok'} {number} - {what}", flush=True)
    if not passed:
        print(f'# {detail}', flush=True)
    return passed


class Server:
    def __init__(self, program, port, *options):
        self.command = [program, '--port', str(port), *options]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def browser(dark):
    options = Options()
    for argument in ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
                     '--hide-scrollbars', '--no-proxy-server'):
        options.add_argument(argument)
    if dark:
        options.add_argument('--force-dark-mode')
        options.add_argument('--blink-settings=preferredColorScheme=0')
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    driver = webdriver.Chrome(service=Service('/usr/bin/chromedriver'), options=options)
    driver.set_page_load_timeout(60)
    return driver


def text(driver, name):
    return driver.find_element(By.ID, name).text


def errors(driver):
    return [entry['message'] for entry in driver.get_log('browser') if entry['level'] == 'SEVERE']


def peak(driver):
    return driver.execute_script(
        'return Math.max(0, ...own.samples.map(sample => sample.completions))')


def heights(driver):
    """How many heights the curve of completions has; 1: it is flat."""
    return driver.execute_script("""
        const path = document.querySelectorAll('#curves svg')[1].querySelector('path.own');
        return path ? new Set(path.getAttribute('d').slice(1).split('L').map(p => p.split(' ')[1])).size : 0""")


def completions(driver):
    found = re.search(r'of ([\d,]+) completions', text(driver, 'headline'))
    return int(found.group(1).replace(',', '')) if found else 0


def overflow(driver):
    return driver.execute_script('return document.documentElement.scrollWidth - innerWidth')


def unfilled(driver):
    """The pixels beside the last chart of each row."""
    return driver.execute_script("""
        const right = element => element.getBoundingClientRect().right;
        const figures = [...document.querySelectorAll('figure:not([hidden])')];
        const ends = figures.filter((figure, i) => !figures[i + 1] || figures[i + 1].offsetTop > figure.offsetTop);
        return Math.max(...ends.map(figure => right(find('curves')) - right(figure)))""")


def smallest_text(driver):
    """Pixels, as the charts are shown."""
    return driver.execute_script("""
        return Math.min(...[...document.querySelectorAll('#curves svg text')].map(
            text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a))""")


def longest_label(driver):
    """Pixels that the charts' text needs beyond their width."""
    return driver.execute_script("""
        const right = element => element.getBoundingClientRect().right;
        return Math.max(...[...document.querySelectorAll('#curves svg text')].map(
            text => right(text) - right(text.ownerSVGElement)))""")


def run_alone(driver, url):
    driver.get(url)
    wait = WebDriverWait(driver, 60)
    wait.until(lambda d: heights(d) > 0)
    shown = driver.find_element(By.TAG_NAME, 'body').text
    check('without ringwake the page does not speak of doorbells', 'doorbell' not in shown, shown)
    check('two charts leave no empty place', abs(unfilled(driver)) < 1, unfilled(driver))


def run(driver, server, url, screenshot):
    wait = WebDriverWait(driver, 60)
    driver.set_window_size(1100, 1000)
    driver.get(url)
    wait.until(lambda d: text(d, 'state') == 'live')
    check('the page is in standards mode',
          driver.execute_script('return document.compatMode') == 'CSS1Compat')
    wait.until(lambda d: heights(d) > 0)
    check('the curves are flat before the load', heights(driver) == 1, heights(driver))
    driver.find_element(By.ID, 'load').click()
    wait.until(lambda d: completions(d) > 1000)
    check('the button starts a load, and the headline counts it', True)
    wait.until(lambda d: peak(d) > 100 and heights(d) > 1)
    check('the curve of completions rises', True)
    check('three charts leave no empty place', abs(unfilled(driver)) < 1, unfilled(driver))
    check("the peer's curves are there",
          'uv_async' in driver.find_element(By.ID, 'curves').text,
          driver.find_element(By.ID, 'curves').text)
    check('the labels fit beside the curves', longest_label(driver) <= 0, longest_label(driver))
    low = driver.execute_script(LOW_CONTRAST)
    check('all text has a contrast of 4.5 at least', not low, low)
    wait.until(lambda d: d.find_element(By.ID, 'load').is_enabled())
    if screenshot:
        loads = [subprocess.Popen(['wrk', '-t1', '-c16', '-d40', origin + '/digest?bytes=64'],
                                  stdout=subprocess.DEVNULL)
                 for origin in (url.rstrip('/'), driver.execute_script('return peer.origin'))]
        time.sleep(35)  # the picture shows half a minute of load
        driver.save_screenshot(screenshot)
        for load in loads:
            load.wait()
    driver.set_window_size(375, 900)
    time.sleep(1)  # a sample in the new width
    check('nothing overflows 375 pixels', overflow(driver) <= 0, overflow(driver))
    check('the text of the charts has 11 pixels there', smallest_text(driver) >= 11, smallest_text(driver))
    found = errors(driver)
    check('the console has no error', not found, found)
    check('the server ends with status 0', server.end() == 0)
    wait.until(lambda d: 'disconnected' in text(d, 'state'))
    check('the page says that the server does not answer', True)
    server.start()
    wait.until(lambda d: text(d, 'state') == 'live')
    check('it goes on when the server is there again', True)


def run_dark(driver, url):
    driver.set_window_size(1100, 1000)
    driver.get(url)
    WebDriverWait(driver, 60).until(lambda d: text(d, 'state') == 'live')
    dark = driver.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
    low = driver.execute_script(LOW_CONTRAST)
    check('dark: all text has a contrast of 4.5 at least', dark and not low, (dark, low))


def main():
    program, screenshot = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    port = int(os.environ.get('PORT', '18474'))
    ours = Server(program, port, '--peer', f'http://127.0.0.1:{port + 1}')
    peer = Server(program, port + 1, '--peer', f'http://127.0.0.1:{port}', '--wake', 'native')
    alone = Server(program, port + 2, '--wake', 'native')
    try:
        driver = browser(dark=True)
        run_dark(driver, f'http://127.0.0.1:{port}/')
        driver.quit()
        driver = browser(dark=False)
        driver.get(f'http://127.0.0.1:{port + 1}/')
        WebDriverWait(driver, 60).until(lambda d: text(d, 'state') == 'live')
        check('the page of the peer does not claim to be ringwake',
              'ringwake' not in text(driver, 'headline') + text(driver, 'about') + driver.title,
              text(driver, 'about'))
        run_alone(driver, f'http://127.0.0.1:{port + 2}/')
        run(driver, ours, f'http://127.0.0.1:{port}/', screenshot)
        driver.quit()
    finally:
        for server in (ours, peer, alone):
            if server.process.poll() is None:
                server.end()
    print(f'1..{number}')


main()
